"""Compares numbers that the paper prints for single runs with what our runs predict for one.

The prediction is the empirical distribution of the test bound over late epochs of all runs, since
runs with learned variances fall by several nats for an epoch now and then, and a normal
distribution has no such falls. The central 95% of this distribution is widened about its median
as Student's t prediction interval is wider than the normal one for this number of runs, since
epochs of one run are not independent runs.
"""

from collections.abc import Sequence
from math import isfinite, nan, sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from vaebench.claims.judge import Verdict
from vaebench.claims.paper import Number, in_full
from vaebench.experiment.settings import AxisValue
from vaebench.results.intervals import CONFIDENCE, student_quantile
from vaebench.results.read import Results, select

Array = NDArray[np.float64]
LATE = 0.75
"""Records from this share of the training on are late."""
FEWEST = 5
"""Fewer runs predict nothing."""


class Prediction(NamedTuple):
    """What our runs predict for a single run."""

    median: float
    low: float
    high: float
    finals: list[float]
    """The value of each run at its end."""


def runs_with(runs: pd.DataFrame, settings: dict[str, AxisValue]) -> pd.DataFrame:
    """The runs that have these settings. A run that is in several experiments is returned once."""
    return select(runs, **in_full(settings, runs)).drop_duplicates("run_hash")


def predict(results: Results, number: Number) -> tuple[Prediction, pd.DataFrame]:
    """The prediction for a number of the paper, and the runs behind it.

    The number is the test bound of a run, or, if `number.minus` is given, the difference of two
    runs of one seed at the same epoch.
    """
    rows = runs_with(results.runs, number.settings)
    late = _late_bounds(results, rows)
    if number.minus is not None:
        other = runs_with(results.runs, number.minus)
        baseline = _late_bounds(results, other)
        shared = late.keys() & baseline.keys()
        late = {seed: _difference(late[seed], baseline[seed]) for seed in sorted(shared)}
        rows = pd.concat([rows, other])
        rows = rows[rows["seed"].isin(shared)]
    return prediction(list(late.values())), rows


def prediction(late: Sequence["pd.Series[float]"]) -> Prediction:
    """The prediction from each run's late records, of which the last is its end.

    A series without any record is left out. One of a diverged run ends in NaN.
    """
    late = [series for series in late if len(series)]
    finals = [float(series.iloc[-1]) for series in late]
    count = len(finals)
    if count < FEWEST or not np.isfinite(finals).all():
        return Prediction(float(np.median(finals)) if finals else nan, nan, nan, finals)
    # Each run counts alike, whatever the number of its records.
    values = np.concatenate([series.to_numpy() for series in late])
    weights = np.concatenate([np.full(len(series), 1 / len(series)) for series in late])
    tail = (1 - CONFIDENCE) / 2
    low, median, high = (_quantile(values, weights, q) for q in (tail, 0.5, 1 - tail))
    student, normal = student_quantile(1 - tail, count - 1), float(ndtri(1 - tail))
    factor = student / normal * sqrt(1 + 1 / count)
    return Prediction(
        median, median - factor * (median - low), median + factor * (high - median), finals
    )


def _difference(of: "pd.Series[float]", minus: "pd.Series[float]") -> "pd.Series[float]":
    """At the steps that both have a record of. NaN where one of them has diverged."""
    steps = of.index.intersection(minus.index)
    return of.loc[steps] - minus.loc[steps]


def _late_bounds(results: Results, rows: pd.DataFrame) -> dict[int, "pd.Series[float]"]:
    """For each seed, the test bounds of late records by optimisation step."""
    history, bounds = results.history, {}
    for _, row in rows.iterrows():
        own = (history["experiment"] == row["experiment"]) & (history["folder"] == row["folder"])
        series = history[own].set_index("step")["test_elbo"].sort_index().astype(float)
        bounds[int(row["seed"])] = series[series.index >= LATE * series.index.max()]
    return bounds


def _quantile(values: Array, weights: Array, q: float) -> float:
    """The weighted quantile, interpolated between the midpoints of the weights."""
    order = np.argsort(values)
    positions = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(q, positions / weights.sum(), values[order]))


def judge_printed(number: Number, value: float, found: Prediction) -> tuple[Verdict, str]:
    """The verdict on a printed number, and its reason."""
    if not found.finals:
        return Verdict.NOT_RUN, "the tier has no runs with these settings"
    if not np.isfinite(found.finals).all():
        return Verdict.INCONCLUSIVE, "a run diverged"
    if not isfinite(found.low):
        return Verdict.INCONCLUSIVE, f"fewer than {FEWEST} runs predict nothing"
    if not found.low <= value <= found.high:
        return Verdict.DIFFERS, "the printed number is outside of what a run is predicted to give"
    if found.high - found.low > 2 * number.resolution:
        return Verdict.INCONCLUSIVE, f"the prediction is wider than ±{number.resolution:g} nats"
    return Verdict.COMPATIBLE, "the printed number is what a run is predicted to give"
