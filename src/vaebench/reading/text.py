"""Reads text and JSON files, which are UTF-8."""

import json
from pathlib import Path
from typing import Any

from vaebench.errors import UserError
from vaebench.files import has_conflict, read_content
from vaebench.plain_text import CONTROL, CONTROL_IN_JSON
from vaebench.reading.parsing import parsing

LARGEST = 16 * 1024**2
"""The most bytes of a text. The claims of the largest tier take a quarter of a megabyte."""


def read_text(path: Path, remedy: str, limit: int = LARGEST) -> str:
    """The text of a file.

    Raises:
        UserError: as `files.read_content`, or the bytes are not UTF-8.
    """
    content = read_content(path, remedy, limit)
    with parsing(path, "a text file in UTF-8", remedy):
        return content.decode("utf-8")


def read_json(path: Path, remedy: str, limit: int = LARGEST) -> Any:
    """The value that a file has.

    Raises:
        UserError: as `files.read_content`, or the text is not JSON, is nested too deep, or has a
            key twice or a number that is not finite.
    """
    return parse_json(read_content(path, remedy, limit), path, remedy)


def read_object(path: Path, remedy: str, limit: int = LARGEST) -> dict[str, Any]:
    """As `read_json`, of a file that holds one object.

    Raises:
        UserError: as `read_json`, or it holds something else.
    """
    return parse_object(read_content(path, remedy, limit), path, remedy)


def parse_object(content: bytes, path: Path, remedy: str) -> dict[str, Any]:
    """As `read_object`, of a file's content.

    Raises:
        UserError: as `read_object`.
    """
    values = parse_json(content, path, remedy)
    if not isinstance(values, dict):
        end = f": {remedy}" if remedy else ""
        raise UserError(f"{path} holds a {type(values).__name__} where an object is expected{end}")
    return values


def parse_json(content: bytes, path: Path, remedy: str) -> Any:
    """The value of a file's content, which is UTF-8.

    Raises:
        UserError: as `read_json`.
    """
    with parsing(path, "a JSON file", remedy):
        if has_conflict(content):
            raise UserError("it has the marks of a merge conflict")
        text = content.decode("utf-8")
        if CONTROL.search(text) or CONTROL_IN_JSON.search(text):
            raise UserError("it has control characters, which could command a terminal")
        return json.loads(text, object_pairs_hook=_object, parse_constant=_not_finite)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"it has the key {twice!r} twice")
    return values


def _not_finite(text: str) -> float:
    raise UserError(f"it has the number {text}")
