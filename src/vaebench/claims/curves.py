"""Statistics of the test bound during training."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from vaebench.claims.needs import LEARNED_T, UNIT_T, VARIANCES
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import Dim, NotRun, Watched, by_seed, mean_over, paired, runs_of
from vaebench.experiment.needs import Need
from vaebench.experiment.settings import format_value

LEAST_SPREAD = 1e-6
"""Of a bound, in nats: about its rounding."""
Measure = Callable[[pd.DataFrame], float]
"""Takes the recorded points of a run, in order."""


@statistic
def mean_lead(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Test bound of one objective minus another's at the same seed, mean over training from the
    first recorded epoch to the last, in nats.

    The bound between two recorded epochs is taken as a straight line, so that a record counts for
    the epochs that it stands for.
    """
    need = VARIANCES.having(objective=(of, minus))
    first, second = (
        by_seed(_measured(results, need, n, _mean_bound, objective=name), "value")
        for name in (of, minus)
    )
    return {"": paired(first, second)}


@statistic
def learned_variance_drops(results: Watched, n: Dim) -> Values:
    """Log of 1 nat and all falls of the test bound between recorded epochs after the first tenth of
    training, learned T minus T = I, at each data scale that was run and the same seed.
    """
    learned, unit = (_by_scale(_measured(results, need, n, _drops)) for need in (LEARNED_T, UNIT_T))
    shared = [scale for scale in learned if scale in unit]
    if not shared:
        raise NotRun("learned T and T = I share no data scale")
    return {
        f"data_scale {format_value(scale)}": paired(learned[scale], unit[scale]) for scale in shared
    }


@statistic
def learned_variance_spread(results: Watched, n: Dim) -> Values:
    """Log10 of the standard deviation, in nats, of the test bound over the records of the last half
    of training, learned T, mean over the data scales that were run.
    """
    rows = _measured(results, LEARNED_T, n, _late_spread)
    return {**mean_over(rows, "data_scale", rows["value"])}


def _measured(
    results: Watched, need: Need, n: Dim, measure: Measure, **settings: str
) -> pd.DataFrame:
    """Runs with a measure of their recorded points as `value`."""
    rows = runs_of(results, need, n, **settings)
    numbers = [measure(_history(results, row)) for _, row in rows.iterrows()]
    return rows.assign(value=pd.Series(numbers, rows.index, dtype=float))


def _history(results: Watched, row: pd.Series) -> pd.DataFrame:
    history = results.history
    own = (history["experiment"] == row["experiment"]) & (history["folder"] == row["folder"])
    points: pd.DataFrame = history[own].sort_values("epoch")
    return points.assign(test_elbo=points["test_elbo"].astype(float))


def _by_scale(rows: pd.DataFrame) -> "dict[float, pd.Series[float]]":
    return {
        float(str(scale)): by_seed(group, "value") for scale, group in rows.groupby("data_scale")
    }


def _mean_bound(history: pd.DataFrame) -> float:
    epochs = history["epoch"].to_numpy(dtype=float)
    if len(epochs) < 2 or np.isnan(epochs).any():
        raise NotRun("the runs have no curve over epochs")
    return float(np.trapezoid(history["test_elbo"], epochs) / (epochs[-1] - epochs[0]))


def _drops(history: pd.DataFrame) -> float:
    bounds = history[history["epoch"] >= 0.1 * history["epoch"].max()]["test_elbo"]
    return float(np.log1p((-bounds.diff().iloc[1:]).clip(lower=0).sum(skipna=False)))


def _late_spread(history: pd.DataFrame) -> float:
    bounds = history[history["epoch"] >= 0.5 * history["epoch"].max()]["test_elbo"]
    if len(bounds) < 2:
        raise NotRun("the runs have a single record in the last half of training")
    return float(np.log10(max(bounds.std(skipna=False), LEAST_SPREAD)))
