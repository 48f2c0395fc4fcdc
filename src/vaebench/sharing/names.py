"""The names that files of a tier may have, before anything is known of its config."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from vaebench.errors import UserError
from vaebench.runs.store import EVALUATION, MEASURED

LONGEST_NAME = 1000
LONGEST_PART = 200
DEEPEST = 20
"""The most folders inside each other."""

_NAME = r"[a-z0-9]+(?:[-_][a-z0-9]+)*"
_MEASURED = [name for names in MEASURED.values() for name in names]
_OF_RUN = ("metrics.json", "arrays.npz", EVALUATION, *_MEASURED)
_AXES = r"(?:/[^/]+~[^/]+)*"
_SHAPES = re.compile(
    "|".join(
        [
            r"manifest\.json|config\.yaml|index\.html|runs\.parquet|history\.parquet",
            r"equations\.(?:parquet|csv|md)|claims\.(?:json|md)",
            rf"figures/{_NAME}\.(?:svg|png|txt)|tables/{_NAME}\.(?:csv|md)",
            rf"classifiers/{_NAME}/classifier\.(?:json|safetensors)",
            rf"runs/{_NAME}{_AXES}/(?:{'|'.join(map(re.escape, _OF_RUN))})",
            rf"codes/{_NAME}(?:{_AXES}|/\.)\.js",
            rf"weights/{_NAME}{_AXES}/model\.safetensors",
        ]
    )
)


def check_names(names: Iterable[str]) -> None:
    """Check that these can be names of a tier's files, all in one folder.

    Raises:
        UserError: one leads out of the folder, is not written as usual, is the name of nothing that
            a tier has, or two differ in nothing but upper and lower case.
    """
    paths: dict[str, str] = {}
    files: set[str] = set()
    folders: set[str] = set()
    for name in names:
        if problem := name_problem(name):
            raise UserError(f"refused: {name!r} {problem}")
        parts = PurePosixPath(name).parts
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            other = paths.setdefault(path.casefold(), path)
            if other != path:
                raise UserError(f"refused: {path!r} and {other!r} are the same on some systems")
            (folders if depth < len(parts) else files).add(path)
    if both := sorted(files & folders):
        raise UserError(f"refused: {both[0]!r} is both a file and a folder")


def name_problem(name: str) -> str | None:
    """Why this is not the name of a file of a tier; None if it can be one."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.as_posix() != name or "\\" in name:
        return "is not a plain path inside the tier"
    if not name.isprintable() or unicodedata.normalize("NFC", name) != name:
        return "has characters that names of a tier do not have"
    longest = max(len(part.encode()) for part in path.parts) if path.parts else 0
    if len(name.encode()) > LONGEST_NAME or longest > LONGEST_PART or len(path.parts) > DEEPEST:
        return "is too long"
    if not _SHAPES.fullmatch(name):
        return "is not a file that a tier has"
    return None
