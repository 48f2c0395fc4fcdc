"""The notebook and the Python of docs/models.md run, as a reader would run them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.conftest import PROJECT

NOTEBOOK = PROJECT / "docs" / "notebook.ipynb"


def read() -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def test_the_page_on_models_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (PROJECT / "docs" / "models.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 4
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["run"].settings.seed == 1
    assert names["images"].shape == (16, 28, 28)
    assert (tmp_path / "out-python/seed~1/README.md").read_text() == names["card"]


def test_it_is_kept_without_results() -> None:
    nbformat.validate(read())
    assert not [cell for cell in read().cells if cell.get("outputs")]
    assert NOTEBOOK.stat().st_size < 20_000


def test_it_runs_in_an_empty_folder(tmp_path: Path) -> None:
    """Each figure that it shows is kept as a file here, since there is nobody to show it to."""
    kept = (
        "import matplotlib.pyplot as _plt\n"
        "def _show():\n"
        "    for number in _plt.get_fignums():\n"
        "        _plt.figure(number).savefig(f'{number}.png')\n"
        "_plt.show = _show\n"
    )
    cells = [cell.source for cell in read().cells if cell.cell_type == "code"]
    (tmp_path / "cells.py").write_text(kept + "\n".join(cells))
    done = subprocess.run(
        [sys.executable, "cells.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stderr
    assert "bound on the test set: -2" in done.stdout
    figures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert figures == ["1.png", "2.png", "3.png"]
    assert len(list(tmp_path.glob("out/*/seed~*/model.safetensors"))) == 10
