"""Finished tiny tiers, for tests that change something and look at what runs again."""

import shutil
from pathlib import Path

import pytest

from tests.workflow.project import Project, copy_project
from vaebench.runs.store import locked


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Project:
    """The tiny tier, run once by whichever of pytest's workers is the first to need it."""
    if worker_id == "master":
        return _finish(tmp_path_factory.mktemp("finished"))
    shared = tmp_path_factory.getbasetemp().parent / "finished"
    shared.mkdir(exist_ok=True)
    # The lock goes with a worker that dies, and `done` is there only once all is made.
    with locked(shared, ["finished"]):
        root, done = shared / "project", shared / "done"
        if not done.exists():
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            _finish(root)
            done.touch()
    return Project(root)


def _finish(root: Path) -> Project:
    project = copy_project(root)
    assert project.jobs() == [
        *("claims", "collect", "data", "figure", "manifest", "report", "tables"),
        *["train_posterior_variance"] * 2,
    ]
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished tiny tier, dates of files and snakemake's metadata included."""
    root = tmp_path / "project"
    shutil.copytree(finished.root, root, symlinks=True)
    return Project(root)
