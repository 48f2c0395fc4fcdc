"""The registry of statistics that decide claims.

config/paper_values.yaml lists the claims and names the statistic of each. A statistic is a function
in one of the `MODULES` below. To add one, write the function, put `@statistic` above it, and name
it in the file.
"""

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module

from vaebench.claims.select import Watched
from vaebench.experiment.plugins import REGISTRIES

Values = dict[str, Sequence[float]]
"""The values of a statistic for each part of a claim, by the name of the part: a number for each
seed. Differences that `select.paired` makes also tell what the pairing has brought. A claim that
something always holds has a part for each case. Other claims have one part, whose name is empty.
NaN stands for a diverged run."""

Statistic = Callable[..., Values]
"""Takes the results and the claim's arguments. Raises `NotRun` if the tier lacks the runs."""

MODULES = (
    *("bounds", "curves", "units", "priors", "codes", "equations", "samples", "faces", "outputs"),
    *("controls", "evidence", "latent", "dependence"),
)
"""The modules here that have statistics."""
EXPERIMENTS = {"under", "without"}
"""The arguments of statistics that name an experiment of the tier."""
CONTROLS: dict[str, dict[str, object]] = {"equation": {"state": "initial"}}
"""For statistics of trained networks: the arguments that give those of untrained ones. What these
meet as well, training has not brought about."""
STATISTICS: dict[str, Statistic] = {}
REGISTRIES.append(STATISTICS)


def statistic(function: Statistic) -> Statistic:
    """Register a statistic under its own name. Results show its docstring's first paragraph.

    Raises:
        ValueError: another module has registered a statistic of this name.
    """
    known = STATISTICS.get(function.__name__, function)
    if known.__module__ != function.__module__:
        raise ValueError(f"'{function.__name__}' is a statistic of {known.__module__} already")
    STATISTICS[function.__name__] = function
    return function


def load_statistics() -> dict[str, Statistic]:
    """Import all statistics and return the registry."""
    for module in MODULES:
        import_module(f"vaebench.claims.{module}")
    return STATISTICS


def describe(name: str) -> str:
    """The first paragraph of a statistic's docstring, on one line."""
    return " ".join((STATISTICS[name].__doc__ or "").split("\n\n")[0].split())


def wrong_arguments(name: str, arguments: dict[str, object]) -> str | None:
    """Why a statistic cannot be called with these arguments. None if it can."""
    signature = inspect.signature(STATISTICS[name])
    try:
        signature.bind(None, **arguments)
    except TypeError as error:
        return f"statistic '{name}': {error}"
    if arguments.get("n", "low") not in ("low", "high"):
        return f"n is 'low' or 'high' (found {arguments['n']!r})"
    return None


def compute(name: str, results: Watched, arguments: dict[str, object]) -> Values:
    """Compute the statistic with this name."""
    return load_statistics()[name](results, **arguments)
