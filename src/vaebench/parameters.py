"""Parameters: settings that an objective, a likelihood, a posterior or a network declares.

A declared parameter is a setting of the runs that take it: a key of a config, an axis, an option of
the command line, a part of paths and hashes, a column of tables. Its value is

- a **number**, if the default is a float or `kind=float`. Runs that differ in it train in one pack,
  so functions receive it as a tensor with one number for each run;
- a **whole number** or a **choice** (text). It may decide shapes, so a pack has one value of it,
  and functions receive it unchanged.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaebench.errors import UserError

Value = str | int | float
PATH_PART = re.compile(r"(?![. ])[^/\\{}\x00-\x1f\x7f]{1,100}(?<![. ])")
"""Texts that may be values: folders of runs are named after them."""
RESERVED = frozenset(name for name in (*dir(list), *dir(dict)) if not name.startswith("_"))
"""Names of parameters are those of wildcards, and Snakemake keeps wildcards in a named list."""
LARGEST = 1e30
"""The largest number of any parameter, with which a float32 can still compute."""


@dataclass(frozen=True)
class Parameter:
    """The declaration of a parameter.

    Raises:
        ValueError: the default is outside the range.
    """

    default: Value | None = None
    """The value if none is given. None: a config has to give a value."""
    description: str = ""
    minimum: float | None = None
    """The smallest value."""
    above: float | None = None
    """All values are larger than this."""
    maximum: float | None = None
    """The largest value."""
    below: float | None = None
    """All values are smaller than this."""
    choices: tuple[str, ...] = ()
    """The texts that the value may be."""
    kind: type[float] | type[int] | type[str] | None = None
    """The type of the value. Default: the type of `default`, or text if there are choices."""
    check: Callable[[str], str | None] | None = None
    """Says what is wrong with a text that is not a choice. None if nothing is."""

    def __post_init__(self) -> None:
        if isinstance(self.default, bool):
            raise ValueError('a parameter cannot be true or false: give it choices=("yes", "no")')
        if self.default is not None and (problem := self.problem(self.default)):
            raise ValueError(f"the default {self.default!r} of a parameter {problem}")

    @property
    def type(self) -> type[float] | type[int] | type[str]:
        """The type of the value. Numbers can be packed, unless they are whole numbers."""
        if self.kind is not None:
            return self.kind
        if self.choices:
            return str
        return float if self.default is None else type(self.default)

    @property
    def can_be_packed(self) -> bool:
        """Whether runs that differ in it can be trained together."""
        return self.type is float

    def coerced(self, value: Any) -> Any:
        """The value. A whole number that is given for a float becomes a float."""
        is_whole = type(value) is int and abs(value) <= LARGEST
        return float(value) if self.type is float and is_whole else value

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value. None if it is allowed."""
        value = self.coerced(value)
        names = {float: "a number", int: "a whole number", str: "a text"}
        if type(value) is not self.type:
            return f"should be {names[self.type]}"
        if isinstance(value, str):
            if not PATH_PART.fullmatch(value):
                return (
                    "should be a text that can name a folder: not empty, with no slash, backslash, "
                    "brace or control character, and no dot or blank at its ends"
                )
            if self.choices and value not in self.choices:
                return f"should be one of: {', '.join(self.choices)}"
            return None if self.check is None else self.check(value)
        if isinstance(value, float) and not math.isfinite(value):
            return "should be a finite number"
        if abs(value) > LARGEST:
            return f"should be between -{LARGEST:g} and {LARGEST:g}"
        if self.minimum is not None and value < self.minimum:
            return f"should be at least {self.minimum:g}"
        if self.above is not None and value <= self.above:
            return f"should be greater than {self.above:g}"
        if self.maximum is not None and value > self.maximum:
            return f"should be at most {self.maximum:g}"
        if self.below is not None and value >= self.below:
            return f"should be smaller than {self.below:g}"
        return None

    @property
    def range(self) -> str:
        """The allowed values in words, such as `whole number, at least 1; default 5`."""
        words = [{float: "number", int: "whole number", str: "text"}[self.type]]
        if self.choices:
            words = [f"one of {', '.join(self.choices)}"]
        for text, bound in (
            ("at least", self.minimum),
            ("above", self.above),
            ("at most", self.maximum),
            ("below", self.below),
        ):
            words += [] if bound is None else [f"{text} {bound:g}"]
        default = "no default" if self.default is None else f"default {self.default}"
        return f"{', '.join(words)}; {default}"


Parameters = Mapping[str, Parameter]


def declared(
    owner: str,
    parameters: Mapping[str, Parameter | Value],
    function: Callable[..., Any] | None = None,
    positional: int = 1,
) -> dict[str, Parameter]:
    """Check a declaration. A plain value stands for a parameter with this default.

    Args:
        owner: what declares them, such as `objective 'beta-vae'`, for messages.
        parameters: by name.
        function: what receives them as keyword arguments. None if nothing does.
        positional: how many arguments it takes before them.

    Raises:
        ValueError: a name is not a lower-case word, the function does not take these parameters, or
            it has no definition whose edits could be noticed.
    """
    found = {
        name: value if isinstance(value, Parameter) else Parameter(value)
        for name, value in parameters.items()
    }
    for name in found:
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
            raise ValueError(f"{owner}: parameter '{name}' has to be named like beta or warm_up")
        if name in RESERVED:
            raise ValueError(
                f"{owner}: a parameter cannot be named '{name}', which Snakemake reserves: give "
                "it another name"
            )
    if function is None:
        return found
    if problem := _no_definition(function):
        raise ValueError(f"{owner} {problem}: write it with def, at the top of a file")
    taken = list(inspect.signature(function).parameters.values())
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken):
        return found
    if missing := sorted(found.keys() - {one.name for one in taken}):
        raise ValueError(
            f"{owner} declares the parameter '{missing[0]}', and its function does not take "
            f"it: write def {without_partial(function).__name__}(..., {missing[0]})"
        )
    needed = {one.name for one in taken[positional:] if one.default is inspect.Parameter.empty}
    if extra := sorted(needed - found.keys()):
        raise ValueError(
            f"the function of {owner} takes '{extra[0]}', which is not declared: write "
            f'parameters={{"{extra[0]}": 1.0}}'
        )
    return found


def _no_definition(function: Callable[..., Any]) -> str | None:
    """Why the code of a function could not be looked up later. None if it can be."""
    plain: Any = without_partial(function)
    if not inspect.isfunction(plain):
        kind = "a method" if inspect.ismethod(plain) else "no Python function"
        return f"is {kind}"
    if not Path(inspect.getfile(plain)).is_file():
        return "is in no file"
    is_partial = plain is not inspect.unwrap(function)
    if is_partial or "<locals>" in plain.__qualname__:
        return None
    if plain.__name__ == "<lambda>":
        return "is a lambda"
    return "is a method" if "." in plain.__qualname__ else None


def name_of(function: Callable[..., Any], decorator: str) -> str:
    """The name of a function, with hyphens for underscores.

    Raises:
        UserError: it has none, as a `functools.partial` has none.
    """
    name: str | None = getattr(function, "__name__", None)
    if name is None:
        raise UserError(f'{function!r} has no name: write {decorator}(name="...")')
    return name.replace("_", "-")


def without_partial(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function as it is defined, without what decorators and `functools.partial` added."""
    plain: Callable[..., Any] = inspect.unwrap(function)
    while isinstance(plain, functools.partial):
        plain = inspect.unwrap(plain.func)
    return plain


def from_one_file(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether two functions or classes are from the same file.

    If a user's file is loaded again, as a plugin and as a module or after an edit in a notebook,
    what it registers takes the place of what it registered before.
    """
    try:
        files = [inspect.getfile(without_partial(part)) for part in (one, other)]
    except TypeError:
        return False
    return Path(files[0]).resolve() == Path(files[1]).resolve()
