"""Finished tiny tiers, for tests that change something and look at what runs again."""

import shutil
from pathlib import Path

import pytest

from tests.workflow.project import Project, copy_project


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny tier, run once."""
    project = copy_project(tmp_path_factory.mktemp("finished"))
    assert project.jobs() == [
        *("claims", "collect", "data", "figures", "manifest", "report", "tables"),
        *["train_posterior_variance"] * 2,
    ]
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished tiny tier, dates of files and snakemake's metadata included."""
    root = tmp_path / "project"
    shutil.copytree(finished.root, root, symlinks=True)
    return Project(root)
