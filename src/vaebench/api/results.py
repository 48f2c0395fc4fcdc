"""The collected results of a tier."""

from os import PathLike
from pathlib import Path

from vaebench.paths import Layout
from vaebench.results.read import Results
from vaebench.results.read import load_results as read_results


def load_results(tier: str | PathLike[str]) -> Results:
    """The collected runs of a tier, as pandas frames.

    Args:
        tier: the folder of a tier, or its name if it is in results/ of the current folder.

    Returns:
        An object with three parts. `runs` is a frame with a row for each run: its settings and its
        final metrics, in nats per example. `history` is a frame with a row for each evaluation
        during training. `of(experiment, **settings)` selects rows of `runs`.

    Raises:
        UserError: the tier is not collected yet, see `vaebench collect`, or its files are damaged.
    """
    folder = Path(tier)
    named = Layout.of(str(tier)).root
    return read_results(named if not folder.exists() and named.exists() else folder)
