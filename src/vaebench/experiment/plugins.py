"""Loads a user's own files, which register objectives, likelihoods, networks and more.

A file registers them with the same decorators as this package. It may import modules beside it.
"""

import hashlib
import inspect
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.likelihoods import LIKELIHOODS
from vaebench.local_imports import with_imported
from vaebench.networks import NETWORKS
from vaebench.objectives import OBJECTIVES

REGISTRIES: list[dict[str, Any]] = [OBJECTIVES, LIKELIHOODS, NETWORKS, DATASETS]
"""What a file can add to. Registries that import this module add themselves."""

_loaded: dict[Path, tuple[str, list[tuple[dict[str, Any], str]]]] = {}
"""For each file, the digest of its content, and what it has registered: registries and names."""
_plain_functions: dict[str, Path] = {}
"""Functions of these files that are not registered, by the name that they would have."""


def load_plugins(paths: Iterable[str | Path]) -> None:
    """Load these files. A file that was loaded before is loaded again only if it has changed.

    Raises:
        UserError: a file is missing or fails. The text names the file and the line.
    """
    for path in map(Path, paths):
        _load(path.resolve(), path)


def loaded_plugins() -> list[Path]:
    """The files that are loaded."""
    return list(_loaded)


def registering(registry: dict[str, Any], name: str) -> Path | None:
    """The file that registered something when it was loaded. None if no file did."""
    for path, (_, added) in _loaded.items():
        if any(one is registry and other == name for one, other in added):
            return path
    return None


def hint(name: str) -> str:
    """What may be wrong if a config names something that is not registered."""
    if name in _plain_functions:
        return (
            f"; {_plain_functions[name]} has a function of this name without a decorator: put "
            '@objective(posterior="diagonal", prior="standard") or @likelihood(...) above it'
        )
    return ""


def _load(path: Path, shown: Path) -> None:
    try:
        digest = _digest(path)
    except OSError as error:
        raise UserError(f"plugin {shown} cannot be read: {error.strerror}") from None
    known = _loaded.get(path)
    if known is not None and known[0] == digest:
        return
    for registry, name in known[1] if known else []:
        registry.pop(name, None)
    _loaded.pop(path, None)
    before = [set(registry) for registry in REGISTRIES]
    try:
        module = _run(path)
    except BaseException as error:
        _undo(before)
        if not isinstance(error, Exception):
            raise
        if isinstance(error, UserError):
            raise UserError(f"plugin {shown}: {error}") from None
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = f", line {frames[-1].lineno}" if frames else ""
        if isinstance(error, SyntaxError) and error.lineno:
            line = f", line {error.lineno}"
        raise UserError(f"plugin {shown}{line}: {type(error).__name__}: {error}") from error
    added = [
        (registry, name)
        for registry, names in zip(REGISTRIES, before, strict=False)
        for name in set(registry) - names
    ]
    added += [(registry, name) for registry in REGISTRIES[len(before) :] for name in registry]
    _loaded[path] = (digest, added)
    registered = {name for _, name in added}
    for name, value in vars(module).items():
        hyphened = name.replace("_", "-")
        own = inspect.isfunction(value) and value.__module__ == module.__name__
        if own and hyphened not in registered:
            _plain_functions[hyphened] = shown


def _digest(path: Path) -> str:
    """Of the bytes of a file and of the files beside it that it imports."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in _files(path))).hexdigest()


def _files(path: Path) -> list[Path]:
    """A file and those beside it that it imports. Of one that is no Python, itself alone."""
    try:
        return with_imported(path)
    except (SyntaxError, ValueError):
        return [path]  # It is told when the file is run.


def _undo(before: list[set[str]]) -> None:
    for registry, names in zip(REGISTRIES, before, strict=False):
        for name in set(registry) - names:
            del registry[name]


def _run(path: Path) -> ModuleType:
    name = f"vaebench_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError("it is not a Python file: its name has to end in .py")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _first_on_path(path.parent), _own_modules(path):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@contextmanager
def _own_modules(path: Path) -> Iterator[None]:
    """Let a file import what lies beside it as it is now, not a module of that name from elsewhere.

    What others have imported under such a name is theirs again afterwards.
    """
    files = _files(path)[1:]
    below = [file.relative_to(path.parent) for file in files if file.is_relative_to(path.parent)]
    names = {file.parts[0].removesuffix(".py") for file in below}
    aside = {
        name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names
    }
    try:
        yield
    finally:
        for name, module in aside.items():
            if Path(getattr(module, "__file__", None) or "").resolve() not in files:
                sys.modules[name] = module
