"""The claim ledger: what the paper says, a statistic for each claim, and a verdict.

Claims stand in config/paper_values.yaml, each with the statistic that decides it, one function in
`bounds.py`, `codes.py`, `samples.py` or `faces.py` here. To add one, write the function, put
`@statistic` above it, and name it in the file.
"""

import inspect
from collections.abc import Callable
from importlib import import_module

from vaebench.claims.select import Watched
from vaebench.results.intervals import Estimate

Values = dict[str, list[float] | Estimate]
"""What a claim rests on: one number a seed, or a mean with its interval, for each part of the
claim. A claim that says `always` has a part for each case, named by it; others have one part, named
by an empty text. NaN stands for a run that diverged."""

Statistic = Callable[..., Values]
"""Takes the results and the claim's arguments; raises `NotRun` where the tier lacks the runs."""

STATISTICS: dict[str, Statistic] = {}


def statistic(function: Statistic) -> Statistic:
    """Register a statistic under its own name; its docstring's first paragraph is shown with it."""
    STATISTICS[function.__name__] = function
    return function


def load_statistics() -> dict[str, Statistic]:
    """The registry, filled."""
    for module in ("bounds", "codes", "samples", "faces"):
        import_module(f"vaebench.claims.registry.{module}")
    return STATISTICS


def describe(name: str) -> str:
    """The first paragraph of a statistic's docstring, on one line."""
    return " ".join((STATISTICS[name].__doc__ or "").split("\n\n")[0].split())


def wrong_arguments(name: str, arguments: dict[str, object]) -> str | None:
    """Why a statistic cannot be called with these arguments; None if it can."""
    signature = inspect.signature(STATISTICS[name])
    try:
        signature.bind(None, **arguments)
    except TypeError as error:
        return f"statistic '{name}': {error}"
    if arguments.get("n", "low") not in ("low", "high"):
        return f"n is 'low' or 'high' (found {arguments['n']!r})"
    return None


def compute(name: str, results: Watched, arguments: dict[str, object]) -> Values:
    """The statistic of that name."""
    return load_statistics()[name](results, **arguments)
