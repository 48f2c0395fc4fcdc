"""Statistics of bounds."""

from collections.abc import Callable
from math import sqrt

import numpy as np
import pandas as pd
from scipy import stats

from vaebench.claims.needs import BAGGINS_SCALES, LEARNED_T, SCALED_CODES, VARIANCES
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import (
    Dim,
    NotRun,
    Watched,
    against,
    by_seed,
    by_seed_and,
    columns_of,
    mean_over,
    paired,
    runs_of,
)
from vaebench.experiment.needs import Need
from vaebench.experiment.settings import format_value
from vaebench.results.intervals import CONFIDENCE, Estimate

WITH_LEARNED = SCALED_CODES.having(objective=("bilbo", "learned"))


@statistic
def bound_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Final test bound of one objective minus another's at the same seed, in nats."""
    need = VARIANCES.having(objective=(of, minus))
    first, second = (
        by_seed(runs_of(results, need, n, objective=name), "test_elbo") for name in (of, minus)
    )
    return {"": paired(first, second)}


@statistic
def bound_spread(results: Watched, objective: str, n: Dim) -> Values:
    """Standard deviation of the final test bound over seeds, in nats, with its interval from the
    chi-squared distribution.
    """
    need = VARIANCES.having(objective=(objective,))
    bounds = by_seed(runs_of(results, need, n, objective=objective), "test_elbo")
    count = len(bounds)
    if count < 3:
        raise NotRun("fewer than three seeds")
    std = float(bounds.std(skipna=False))
    tails = (1 - CONFIDENCE) / 2
    low, high = (
        std * sqrt((count - 1) / float(stats.chi2.ppf(q, count - 1))) for q in (1 - tails, tails)
    )
    return {"": Estimate(count, std, float("nan"), low, high)}


@statistic
def learned_variance_drops(results: Watched, n: Dim) -> Values:
    """Sum of all falls of the test bound between recorded epochs after the first tenth of training,
    learned T, mean over data scales, in nats.
    """
    return _of_histories(results, n, _drops)


@statistic
def learned_variance_growth(results: Watched, n: Dim) -> Values:
    """Rise of the test bound over the last half of training, learned T, mean over data scales, in
    nats.
    """
    return _of_histories(results, n, _late_growth)


def _of_histories(results: Watched, n: Dim, measure: Callable[[pd.DataFrame], float]) -> Values:
    rows = runs_of(results, LEARNED_T, n)
    numbers = [measure(_history(results, row)) for _, row in rows.iterrows()]
    return {"": mean_over(rows, pd.Series(numbers, rows.index))}


def _history(results: Watched, row: pd.Series) -> pd.DataFrame:
    history = results.history
    own = (history["experiment"] == row["experiment"]) & (history["folder"] == row["folder"])
    points: pd.DataFrame = history[own].sort_values("epoch")
    return points.assign(test_elbo=points["test_elbo"].astype(float))


def _drops(history: pd.DataFrame) -> float:
    bounds = history[history["epoch"] >= 0.1 * history["epoch"].max()]["test_elbo"]
    return float((-bounds.diff().iloc[1:]).clip(lower=0).sum(skipna=False))


def _late_growth(history: pd.DataFrame) -> float:
    bounds = history["test_elbo"].to_numpy()
    middle = int(np.searchsorted(history["epoch"], 0.5 * history["epoch"].max()))
    return float(bounds[-1] - bounds[middle])


@statistic
def learned_variance_residual(results: Watched, n: Dim) -> Values:
    """Test residual under learned T over that of always showing the mean image, mean over data
    scales: 1 if nothing of the input is reconstructed.
    """
    rows = runs_of(results, LEARNED_T, n)
    return {"": mean_over(rows, rows["test_mse"].astype(float) / rows["test_mean_image_mse"])}


@statistic
def scale_changes_bound(results: Watched, n: Dim) -> Values:
    """Final test bound under BAGGINS at each data scale minus that at 1, at the same seed, in nats
    of the unscaled data.
    """
    rows = runs_of(results, BAGGINS_SCALES, n)
    return {**against(by_seed_and(rows, "data_scale", "test_elbo_data_units"), 1.0, "data_scale")}


@statistic
def matching_std_is_best(results: Watched, n: Dim) -> Values:
    """Final test bound of the constant posterior whose std is the latent scale, minus that of each
    other std, at each latent scale and the same seed, in nats. Rivals that diverged are left out.
    """
    leads: Values = {}
    need = SCALED_CODES.having(objective=("bilbo",))
    for scale, table in _bounds_by_std(results, n, need).items():
        if scale not in table:
            continue
        for std in columns_of(table):
            if std != scale and table[std].notna().all():
                place = f"latent_scale {format_value(scale)}, std {format_value(std)}"
                leads[place] = paired(table[scale], table[std])
    if len({place.split(",")[0] for place in leads}) < 2:
        raise NotRun("fewer than two stds are also latent scales")
    return leads


@statistic
def learned_is_like_unit_std(results: Watched, n: Dim) -> Values:
    """How much closer the final test bound of `learned` is to that of std 1 than to that of each
    other std, at each latent scale and the same seed, in nats. Rivals that diverged are left out.
    """
    learned = _bounds_of_learned(results, n)
    leads: Values = {}
    for scale, table in _bounds_by_std(results, n).items():
        distance = table.sub(learned[scale], axis=0).abs()
        if 1.0 not in distance:
            raise NotRun("no runs with std 1")
        for std in columns_of(table):
            if std != 1.0 and table[std].notna().all():
                place = f"latent_scale {format_value(scale)}, std {format_value(std)}"
                leads[place] = paired(distance[std], distance[1.0])
    return leads


@statistic
def unit_std_minus_learned(results: Watched, n: Dim) -> Values:
    """Final test bound of std 1 minus that of `learned`, at each latent scale and the same seed, in
    nats.
    """
    learned = _bounds_of_learned(results, n)
    differences: Values = {}
    for scale, table in _bounds_by_std(results, n).items():
        if 1.0 not in table:
            raise NotRun("no runs with std 1")
        place = f"latent_scale {format_value(scale)}"
        differences[place] = paired(table[1.0], learned[scale])
    return differences


def _bounds_by_std(
    results: Watched, n: Dim, need: Need = WITH_LEARNED
) -> dict[float, pd.DataFrame]:
    """For each latent scale, the final test bounds of BILBO: seeds by posterior std."""
    rows = runs_of(results, need, n, objective="bilbo")
    return {
        float(str(scale)): by_seed_and(group, "posterior_std", "test_elbo")
        for scale, group in rows.groupby("latent_scale")
    }


def _bounds_of_learned(results: Watched, n: Dim) -> dict[float, pd.Series]:
    """For each latent scale, the final test bounds of `learned` by seed."""
    rows = runs_of(results, WITH_LEARNED, n, objective="learned")
    return {
        float(str(scale)): by_seed(group, "test_elbo")
        for scale, group in rows.groupby("latent_scale")
    }
