"""Validation errors in words: which key, what is wrong with it, and what was found."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from vaebench.experiment.settings import AxisValue, message_of

KINDS = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false"}
"""The types that a value with several possible types may have."""
LONGEST = 60


def describe(error: ValidationError) -> str:
    """A validation error as lines of `path.of.key: what is wrong (found ...)`.

    Pydantic reports each type that a value could have had by itself. Here, they are one line. An
    error of a mapping's own keys says more than that the mapping is no number.
    """
    items = [one for one in error.errors() if one["type"] != "default_factory_not_called"]
    lines = []
    for key, group in groupby(items, key=lambda one: _key(one["loc"])):
        own = list(group)
        wrong_kind = [one for one in own if one["loc"] and one["loc"][-1] in KINDS]
        nested = any(_key(one["loc"])[: len(key)] == key for one in items if one not in own)
        if wrong_kind != own:
            for one in own:
                tells = isinstance(one["input"], AxisValue | None)
                if one not in wrong_kind:
                    lines.append(_line(key, message_of(one), one, tells))
        elif not nested:
            kinds = dict.fromkeys(str(one["loc"][-1]) for one in own)
            lines.append(_line(key, f"should be {' or '.join(_words(kinds))}", own[0], tells=True))
    return "\n".join(lines)


def _key(loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys of a place, without the types that pydantic tried there."""
    parts = [str(part) for part in loc if not str(part)[:1].isupper()]
    return tuple(parts[:-1] if parts and parts[-1] in KINDS else parts)


def _words(kinds: Mapping[str, None]) -> Iterator[str]:
    for kind in kinds:
        if not (kind == "int" and "float" in kinds):
            yield KINDS[kind]


def _line(key: tuple[str, ...], message: str, item: Mapping[str, Any], tells: bool) -> str:
    """A line of a message, which tells what was found if that is short."""
    shown = repr(item["input"])
    if len(shown) > LONGEST:
        shown = f"{shown[:LONGEST]}..."
    return f"{'.'.join(key) or '(top level)'}: {message}{f' (found {shown})' if tells else ''}"
