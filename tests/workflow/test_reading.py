"""No dry run, check, question or failed command writes anything."""

import hashlib
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.workflow.project import Project
from vaebench.cli import app
from vaebench.errors import UserError

pytestmark = pytest.mark.workflow

FIGURE = "results/tiny/figures/fig05.svg"
READING = (
    "--help", "--version", "train --help", "verify", "verify --weights --tier tiny",
    f"explain {FIGURE}", "explain results/tiny/claims.md", "explain results/tiny/runs.parquet",
    "schema", "schema --markdown", "verify --tier results/tiny", "tidy --tier tiny",
)  # fmt: skip
FAILING = (
    "nosuch", "train --objective nosuch", "train --objective learned --epochs 0",
    "train --objective bilbo --dataset nosuch.npz --epochs 1",
    "train --objective bilbo --batch-size 9999 --epochs 1",
    "train --objective bilbo --seeds 0,0 --epochs 1 --out new",
    "train --from results/nosuch --epochs 9", "data nosuch", "run --tier nosuch",
    "run --tier tiny.yaml --experiment nosuch", "run --tier copy.yaml", "run --tier wrong.yaml",
    "collect --tier copy.yaml", "draw fig99 --tier tiny", "draw fig01 --tier nosuch",
    "table nosuch --tier tiny", "report --tier nosuch", "manifest --tier nosuch",
    "claims --tier nosuch", "verify --tier nosuch", "explain nosuch.svg", "tidy --tier nosuch",
    "export --tier nosuch --out a.tar", "import nosuch.tar", "import tiny.yaml",
    "evaluate --tier wrong.yaml --experiment posterior_variance",
    "evidence --tier nosuch --experiment posterior_variance",
)  # fmt: skip

UNCOUNTED = (".snakemake", "__pycache__", "locks")


def state(root: Path) -> dict[str, str]:
    """The digest, the date and the kind of everything below a folder.

    Snakemake's own folder is left out, where it keeps logs and metadata of its own, and so are
    locks, which hold nothing but the number of a process.
    """
    found = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in UNCOUNTED]
        for name in [*folders, *(name for name in names if not name.endswith(".lock"))]:
            path = Path(folder) / name
            kind = "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
            date = 0 if path.is_dir() else path.stat().st_mtime_ns
            found[path.relative_to(root).as_posix()] = f"{kind} {date}"
    return found


@pytest.fixture
def with_copies(project: Project) -> Project:
    """The finished tier, a copied config that names the same tier, and one that is wrong."""
    text = (project.root / "tiny.yaml").read_text("utf-8")
    (project.root / "copy.yaml").write_text(text + "execution: {save_every: 3}\n", "utf-8")
    (project.root / "wrong.yaml").write_text(text.replace("epochs: 2", "epochs: two"), "utf-8")
    return project


def test_commands_that_read_or_fail_write_nothing(
    with_copies: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = with_copies.root
    monkeypatch.chdir(root)
    before = state(root)
    assert len(before) > 100
    for command in (*READING, *FAILING):
        result = CliRunner().invoke(app, command.split())
        assert (result.exit_code == 0) == (command in READING), (command, result.output)
        if command in FAILING:
            assert isinstance(result.exception, UserError | OSError | SystemExit), command
        after = state(root)
        assert after == before, (command, dict(after.items() ^ before.items()))


def test_a_refused_workflow_writes_nothing_and_names_the_owner(with_copies: Project) -> None:
    before = state(with_copies.root)
    for config, message in (
        ("copy.yaml", "results/tiny belongs to tiny.yaml"),
        ("wrong.yaml", "epochs"),
        ("nosuch.yaml", "nosuch.yaml"),
    ):
        done = with_copies.snakemake("--configfile", config)
        assert done.returncode != 0
        assert message in done.stdout + done.stderr
        assert state(with_copies.root) == before
