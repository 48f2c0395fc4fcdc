"""Imports only go down: the table of folders in CONTRIBUTING.md says which is above which."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import PROJECT
from vaebench.runs.canonical import PACKAGE


def rows() -> list[list[str]]:
    """The folders of each row, the topmost first. The row of modules outside folders is empty."""
    text = (PROJECT / "CONTRIBUTING.md").read_text().split("## Where is what")[1]
    cells = re.findall(r"^\| ((?:`\w+/`(?:, )?)+|no folder) \|", text, re.MULTILINE)
    return [re.findall(r"`(\w+)/`", cell) for cell in cells]


def imports(path: Path) -> Iterator[str]:
    """The folders of this package that a module imports from, wherever the import stands.

    What only type checkers import does not count.
    """
    tree = ast.parse(path.read_text())
    checked = [
        statement
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
    ]
    for node in ast.walk(tree):
        if node in checked:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vaebench."):
            folder = str(node.module).split(".")[1]
            yield folder if (PACKAGE / folder).is_dir() else ""


def test_the_table_names_every_folder_once() -> None:
    named = [folder for row in rows() for folder in row]
    there = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert sorted(named) == sorted(there)


def test_no_import_goes_up() -> None:
    levels = {folder: level for level, row in enumerate(rows()) for folder in row or [""]}
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        own = place.parts[0] if len(place.parts) > 1 else ""
        if place.as_posix() == "__init__.py":
            continue  # it names what the package exports
        if place.name in ("__main__.py", "worker.py", "former_api.py"):
            continue  # the first is the command line; the others drive sources of any version
        wrong += [
            f"{place} imports {other or 'a module outside folders'}"
            for other in imports(path)
            if other != own and levels[other] <= levels[own]
        ]
    assert not wrong, wrong


def test_few_modules_are_outside_folders() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    text = (PROJECT / "CONTRIBUTING.md").read_text().split("| no folder |")[1].splitlines()[0]
    assert modules == set(re.findall(r"`(\w+)\.py`", text))
