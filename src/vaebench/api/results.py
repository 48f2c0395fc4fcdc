"""The collected results of a tier."""

from os import PathLike
from pathlib import Path

from vaebench.experiment.unasked import check_plugins
from vaebench.paths import RESULTS, Layout
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
        UserError: the tier is not collected yet, see `vaebench collect`, its files are damaged, or
            it is in another folder than results/ and names a plugin that is not loaded.
    """
    folder = Path(tier)
    named = Layout.of(str(tier)).root
    found = named if not folder.exists() and named.exists() else folder
    check_plugins(Layout(found), RESULTS, "call vaebench.load_plugins([{file}]) first")
    return read_results(found)
