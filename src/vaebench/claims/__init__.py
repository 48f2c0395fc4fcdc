"""The claim ledger: what the paper says, a statistic for each claim, and a verdict.

Claims stand in config/paper_values.yaml, each with the statistic that decides it, one function in
`bounds.py`, `codes.py` or `samples.py` here. To add one, write the function, put `@statistic` above
it, and name it in the file.
"""

from collections.abc import Callable
from typing import Any

from vaebench.results import Results

Statistic = Callable[..., list[float]]
"""Takes the results and the claim's arguments; returns one number a seed, in the order of seeds.

Raises `NotRun` where the tier lacks the runs."""

STATISTICS: dict[str, Statistic] = {}


class NotRun(Exception):  # noqa: N818 - no error: a verdict
    """The tier has no runs that could decide the claim; says which are lacking."""


def statistic(function: Statistic) -> Statistic:
    """Register a statistic under its own name; its docstring's first line is shown with it."""
    STATISTICS[function.__name__] = function
    return function


def describe(name: str) -> str:
    """The first paragraph of a statistic's docstring, on one line."""
    text = (STATISTICS[name].__doc__ or "").split("\n\n")[0]
    return " ".join(text.split())


def compute(name: str, results: Results, arguments: dict[str, Any]) -> list[float]:
    """The statistic of that name."""
    from vaebench.claims import bounds, codes, samples  # noqa: F401 - they register themselves

    return STATISTICS[name](results, **arguments)
