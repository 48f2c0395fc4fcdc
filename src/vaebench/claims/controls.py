"""Statistics of controls: runs that differ from others in one thing, to tell where a lead is from.

`of` and `minus` are objectives of one experiment. `under` and `without` are experiments with the
same objectives: one with a control, such as another schedule, and one without.
"""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from vaebench.claims.needs import VARIANCES
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import Dim, NotRun, Watched, by_seed, paired, runs_of

Measure = Callable[[Watched, pd.DataFrame], "pd.Series[float]"]
"""A number of each run by its seed."""


@statistic
def stopped_bound_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Test bound under one objective minus that under another at the same seed, each in the
    recorded epoch with its largest bound of the held-out images, in nats.
    """
    return {"": paired(*_sides(results, of, minus, n, _stopped))}


@statistic
def lead_change(results: Watched, of: str, minus: str, under: str, without: str, n: Dim) -> Values:
    """Lead of one objective over another in the final test bound at the same seed: in one
    experiment minus in another, in nats.
    """
    leads = []
    for name in (under, without):
        sides = _sides(_within(results, name), of, minus, n, _column("test_elbo"))
        leads.append(pd.Series(list(paired(*sides)), sides[0].index.intersection(sides[1].index)))
    return {"": paired(*leads)}


def _sides(
    results: Watched, of: str, minus: str, n: Dim, measure: Measure
) -> tuple["pd.Series[float]", "pd.Series[float]"]:
    """A number of the runs of two objectives, each by seed."""
    need = VARIANCES.having(objective=(of, minus))
    first, second = (
        measure(results, runs_of(results, need, n, objective=name)) for name in (of, minus)
    )
    return first, second


def _within(results: Watched, experiment: str) -> Watched:
    """The same results, from which the runs of one experiment alone are selected."""
    results.tier.experiment(experiment)  # refuses a name that the tier does not have
    return replace(results, only=experiment)


def _column(name: str) -> Measure:
    return lambda _, rows: by_seed(rows, name)


def _stopped(results: Watched, rows: pd.DataFrame) -> "pd.Series[float]":
    """The test bound at the record with the largest held-out bound. NaN for a diverged run.

    Of equal records it is the first. The test bounds have no part in the choice.

    Raises:
        NotRun: a run has no held-out bounds.
    """
    history = results.history
    stopped = rows.assign(stopped_elbo=float("nan"))
    for place, row in rows.iterrows():
        own = (history["experiment"] == row["experiment"]) & (history["folder"] == row["folder"])
        points = history[own].sort_values("step")
        known = "held_out_elbo" in points and points["held_out_elbo"].notna().any()
        if row["status"] == "diverged":
            continue
        if not known:
            raise NotRun(f"'{row['experiment']}' holds no images out: set held_out")
        best = points["held_out_elbo"].astype(float).idxmax()
        stopped.loc[place, "stopped_elbo"] = float(points.loc[best, "test_elbo"])
    return by_seed(stopped, "stopped_elbo")
