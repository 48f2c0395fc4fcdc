"""The files beside a user's own file that it imports: they decide what it computes, too."""

import ast
import sysconfig
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent
_INSTALLED = ("site-packages", "dist-packages")
"""Folders of installed packages. What lies beside a file there is not its author's."""
_PYTHON = Path(sysconfig.get_path("stdlib"))
Stamp = tuple[tuple[Path, int, int], ...]
"""Files with the time of their last change, in nanoseconds, and their size."""


def is_installed(path: Path) -> bool:
    """Whether a file belongs to an installed package or to Python itself."""
    return any(part in _INSTALLED for part in path.parts) or path.is_relative_to(_PYTHON)


def with_imported(path: Path) -> list[Path]:
    """A file, and the files beside it that it imports, by any statement and in turn.

    Installed packages do not count, nor does this one.

    Raises:
        SyntaxError: one of them is no Python.
    """
    found: list[Path] = []
    wanted = [path]
    while wanted:
        one = wanted.pop()
        if one not in found:
            found.append(one)
            wanted += _imported(one, *_state(one))
    return found


def stamp(path: Path) -> Stamp:
    """What changes if a file or one that it imports does. It is cheap to compute again."""
    return tuple((one, *_state(one)) for one in with_imported(path))


def imported_by(node: ast.AST, folder: Path) -> list[Path]:
    """The files below a folder that the import statements in a piece of code import.

    Args:
        node: a statement, or a whole module.
        folder: that of the file which has it.
    """
    found: dict[Path, None] = {}
    if folder.name in _INSTALLED:
        return []
    for one in ast.walk(node):
        names: list[tuple[Path, str]] = []
        if isinstance(one, ast.Import):
            names = [(folder, alias.name) for alias in one.names]
        elif isinstance(one, ast.ImportFrom):
            # `from ..a import b`: each dot but the first is a folder further up.
            place = [folder, *folder.parents][max(one.level - 1, 0)]
            module = one.module or ""
            # What is imported may be a module of a package.
            names = [(place, module)]
            names += [(place, f"{module}.{alias.name}".strip(".")) for alias in one.names]
        for place, name in names:
            found |= dict.fromkeys(_files_of(place, name))
    return [file for file in found if not file.is_relative_to(_PACKAGE)]


def _files_of(folder: Path, name: str) -> list[Path]:
    """The files of a module, and those of the packages that it is in."""
    parts = [part for part in name.split(".") if part]
    found = []
    for count in range(1, len(parts) + 1):
        module = folder.joinpath(*parts[:count])
        places = (module.parent / f"{module.name}.py", module / "__init__.py")
        found += [place for place in places if place.is_file()]
    return found


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size


@cache
def _imported(path: Path, _time: int, _size: int) -> list[Path]:
    return imported_by(ast.parse(path.read_text("utf-8"), str(path)), path.parent)
