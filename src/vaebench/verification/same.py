"""Compares results that are made again with those that are there, up to the rounding of numbers."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RELATIVE, ABSOLUTE = 1e-6, 1e-9
"""Numbers that differ by less are the same. Other versions of libraries round otherwise, and by far
less than that."""
_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]*\w)")
_ACCOUNT = re.compile(r'\n<!-- made from [^\n]* -->\n\Z|^  "made_from": \{[^}]*\},\n', re.MULTILINE)
"""What a table or a ledger says of its own code, in Markdown and in JSON."""
_SHOWN = 60


def text_difference(found: str, made: str, with_account: bool) -> str | None:
    """Where two texts differ, beyond the rounding of numbers. None if they do not.

    Args:
        found: the text that is there.
        made: the text that is made again.
        with_account: whether what it was made from counts.
    """
    if not with_account:
        found, made = (_ACCOUNT.sub("", text) for text in (found, made))
    if found == made:
        return None
    ours, theirs = made.splitlines(), found.splitlines()
    for number, (one, other) in enumerate(zip(theirs, ours, strict=False), 1):
        if not _same_line(one, other):
            return f"line {number} is {_short(one, other)}, and its runs give {_short(other, one)}"
    if len(ours) != len(theirs):
        return f"it has {len(theirs)} lines, and its runs give {len(ours)}"
    return None


def table_difference(found: pd.DataFrame, made: pd.DataFrame) -> str | None:
    """Where two tables differ, beyond the rounding of numbers. None if they do not."""
    if list(found.columns) != list(made.columns):
        odd = sorted(set(found.columns) ^ set(made.columns))
        return f"it has other columns than its runs give: {', '.join(odd) or 'in another order'}"
    if len(found) != len(made):
        return f"it has {len(found)} rows, and its runs give {len(made)}"
    for column in made.columns:
        pairs = zip(found[column].tolist(), made[column].tolist(), strict=True)
        for row, (one, other) in enumerate(pairs):
            if not _same_value(one, other):
                return f"{column} of row {row + 1} is {one!r}, and its run gives {other!r}"
    return None


def file_difference(found: Path, made: Path, with_account: bool) -> str | None:
    """As `text_difference`, of two files; as `table_difference` if they are Parquet files."""
    if found.read_bytes() == made.read_bytes():
        return None
    if found.suffix == ".parquet":
        return table_difference(pd.read_parquet(found), pd.read_parquet(made))
    text = found.read_text(encoding="utf-8", errors="replace")
    return text_difference(text, made.read_text(encoding="utf-8"), with_account)


def _same_line(one: str, other: str) -> bool:
    if one == other:
        return True
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    return all(_close(float(a.replace("−", "-")), float(b.replace("−", "-"))) for a, b in pairs)


def _same_value(one: Any, other: Any) -> bool:
    if _is_empty(one) or _is_empty(other):
        return _is_empty(one) and _is_empty(other)
    if isinstance(one, float | int) and isinstance(other, float | int):
        return _close(float(one), float(other))
    return bool(one == other)


def _is_empty(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _close(one: float, other: float) -> bool:
    return one == other or math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def _short(text: str, other: str) -> str:
    """The part of a line around the first character that differs from the other line."""
    pairs = enumerate(zip(text, other, strict=False))
    place = next((k for k, (a, b) in pairs if a != b), min(len(text), len(other)))
    start = max(0, place - _SHOWN // 2)
    return repr(text[start : start + _SHOWN])
