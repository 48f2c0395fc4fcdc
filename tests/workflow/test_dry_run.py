"""`snakemake -n` plans what a run would do, and writes nothing."""

import tempfile
from pathlib import Path

import pytest

from tests.workflow.project import RUNS, Project, copy_project

pytestmark = pytest.mark.workflow


def files(project: Project) -> dict[Path, tuple[int, bytes]]:
    """Date and content of every file, but for those of snakemake itself and of Python."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in project.root.rglob("*")
        if path.is_file() and ".snakemake" not in path.parts and "__pycache__" not in path.parts
    }


def test_a_dry_run_plans_what_a_run_does_and_writes_nothing(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    project = copy_project(tmp_path / "project", data_root)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)

    def planned() -> set[str]:
        before = files(project)
        rules = project.planned("--", RUNS)
        assert files(project) == before
        assert not list(temporary.glob("vaebench*"))
        return rules

    everything = {"collect", "train_posterior_variance"}
    assert planned() == everything
    assert not (project.root / "results").exists()
    assert not list((project.root / ".snakemake").glob("vaebench.lock"))
    assert set(project.jobs("--", RUNS)) == everything
    assert planned() == set()
    # Another config, of the same runs: nothing is trained for it.
    path = project.root / "tiny.yaml"
    path.write_text(path.read_text() + "execution: {save_every: 3}\n")
    assert planned() == {"collect"}
    assert set(project.jobs("--", RUNS)) == {"collect"}
    assert planned() == set()
    # Another objective, and a clone that knows nothing of its past.
    project.edit("objectives/paper.py", "- 0.5 * information", "- 0.25 * 2 * information")
    assert planned() == everything
    # The plan of an earlier run is gone.
    for name in ("config.yaml", "hashes.txt"):
        (project.results / name).unlink()
    assert planned() == everything
