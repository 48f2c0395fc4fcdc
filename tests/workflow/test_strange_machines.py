"""The pipeline where much is strange at once: names, user, locale, notebook's settings, disk."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.workflow.project import Project, copy_project
from vaebench.files import digest_file

pytestmark = pytest.mark.workflow

NAME = "a b #1 %s = {y} 'q' \"d\" ä"
UNKNOWN = (shutil.which("unshare") or "unshare", "--user", "--map-user=12345", "--map-group=12345")
"""Runs a command as a user without a name, a home and rights over others' files."""
MATPLOTLIBRC = """
savefig.bbox: tight
text.usetex: True
font.family: serif
axes.facecolor: red
figure.figsize: 3, 3
"""
SECRETS = {"VAEBENCH_SECRET": "marked-secret", "HOME": "/nonexistent/marked-home"}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder for temporary files, on another file system where there is one."""
    memory = Path("/dev/shm")
    root = memory if os.access(memory, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=root, prefix="marked temporary ") as folder:
        yield Path(folder)


def strange_environment(project: Project, tmp_path: Path, elsewhere: Path) -> dict[str, str]:
    """All that the commands know: ASCII alone, no git, no name, and a notebook's settings."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for path in [*Path("/usr/bin").iterdir(), *Path("/bin").iterdir()]:
        if not path.name.startswith("git") and not (tools / path.name).is_symlink():
            (tools / path.name).symlink_to(path)
    (tmp_path / "matplotlibrc").write_text(MATPLOTLIBRC, encoding="utf-8")
    return {
        "PATH": f"{Path(sys.executable).parent}:{tools}",
        "PYTHONPATH": f"{project.root / 'src'}:/nonexistent",
        "LC_ALL": "C",
        "PYTHONWARNDEFAULTENCODING": "1",
        "PYTHONHASHSEED": "7",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "TMPDIR": str(elsewhere),
        "OMP_NUM_THREADS": "1",
        **SECRETS,
    }  # fmt: skip


def can_be_unknown() -> bool:
    """Whether this system lets a process be another user."""
    try:
        return subprocess.run([*UNKNOWN, "true"], capture_output=True).returncode == 0
    except OSError:
        return False


def run(project: Project, environment: dict[str, str], *command: str) -> str:
    """Run a command with few file descriptors and private files; returns what it printed."""
    limits = ["sh", "-c", 'umask 077; ulimit -n 64; exec "$@"', "sh"]
    done = subprocess.run(
        [*(UNKNOWN if can_be_unknown() else ()), *limits, *command],
        cwd=project.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    text = done.stdout.decode("utf-8", errors="replace")
    assert done.returncode == 0, text
    return text


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_the_pipeline_on_a_strange_machine(
    finished: Project, data_root: Path, tmp_path: Path, elsewhere: Path
) -> None:
    root = tmp_path / NAME
    root.mkdir()
    project = copy_project(root, data_root)
    for path in [root / "data", *(root / "data").rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    kept = tmp_path / "kept"
    kept.mkdir()
    (root / "results").symlink_to(kept)
    environment = strange_environment(project, tmp_path, elsewhere)
    snakemake = project.command()
    text = run(project, environment, *snakemake)
    assert "Nothing to be done" in run(project, environment, *snakemake)
    verified = run(project, environment, sys.executable, "-m", "vaebench", "verify")
    assert "results/tiny: whole" in verified

    usual, strange = finished.results, kept / "tiny"
    assert {path.stat().st_mode & 0o077 for path in strange.rglob("*")} == {0}
    files = {p.relative_to(strange).as_posix() for p in strange.rglob("*") if p.is_file()}
    same = [name for name in files if name.endswith((".npz", ".safetensors", ".csv", ".txt"))]
    assert len(same) > 9
    for name in same:
        assert digest_file(strange / name) == digest_file(usual / name), name
    one, other = (pixels(root / "figures" / "fig05.png") for root in (strange, usual))
    assert np.array_equal(one, other)

    logs = text + "".join(path.read_text("utf-8") for path in (strange / "logs").rglob("*.log"))
    lines = [line for line in logs.splitlines() if "EncodingWarning" in line]
    assert not [line for line in lines if "src/vaebench" in line]

    private = [*SECRETS.values(), str(tmp_path), str(elsewhere)]
    for name in json.loads((strange / "manifest.json").read_text("utf-8"))["files"]:
        content = (strange / name).read_bytes()
        for text in private:
            assert text.encode() not in content, f"{name} holds {text}"
    record = next((strange / "runs").rglob("metrics.json")).read_text("utf-8")
    assert json.loads(record)["worker"]["commit"] is None
    for name in (platform.release(), platform.node()):
        assert not re.search(rf"\b{re.escape(name)}\b", record)
