"""Statistics of the test bound during training."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from vaebench.claims.needs import LEARNED_T, UNIT_T, VARIANCES
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import Dim, NotRun, Watched, by_seed, mean_over, paired, runs_of
from vaebench.experiment.needs import Need
from vaebench.experiment.settings import format_value

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
    """Sum of all falls of the test bound between recorded epochs after the first tenth of training,
    learned T minus T = I, at each data scale and the same seed, in nats.
    """
    learned, unit = (_by_scale(_measured(results, need, n, _drops)) for need in (LEARNED_T, UNIT_T))
    shared = [scale for scale in learned if scale in unit]
    if not shared:
        raise NotRun("learned T and T = I share no data scale")
    return {
        f"data_scale {format_value(scale)}": paired(learned[scale], unit[scale]) for scale in shared
    }


@statistic
def learned_variance_growth(results: Watched, n: Dim) -> Values:
    """Rise of the test bound over the last half of training, learned T, mean over data scales, in
    nats.
    """
    rows = _measured(results, LEARNED_T, n, _late_growth)
    return {"": mean_over(rows, rows["value"])}


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
    return float((-bounds.diff().iloc[1:]).clip(lower=0).sum(skipna=False))


def _late_growth(history: pd.DataFrame) -> float:
    bounds = history["test_elbo"].to_numpy()
    middle = int(np.searchsorted(history["epoch"], 0.5 * history["epoch"].max()))
    return float(bounds[-1] - bounds[middle])
