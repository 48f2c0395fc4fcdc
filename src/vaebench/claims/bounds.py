"""Statistics of bounds."""

from collections.abc import Callable
from math import sqrt

import numpy as np
import pandas as pd
from scipy import stats

from vaebench.claims.needs import (
    BAGGINS_SCALES,
    LEARNED_T,
    RATIOS,
    SCALED_CONTROL,
    SCALED_LEARNED,
    VARIANCES,
)
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import (
    Dim,
    NotRun,
    Watched,
    against,
    by_seed,
    by_seed_and,
    mean_over,
    paired,
    runs_of,
)
from vaebench.experiment.settings import Settings, format_value, known_parameters
from vaebench.results.intervals import CONFIDENCE, Estimate
from vaebench.results.ratio import with_ratio


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
    other ratio of std and scale, at the same seed, in nats. Rivals that diverged are left out.

    The ratio alone decides the bound, see `results/ratio.py`, so this holds at each scale or none.
    """
    bounds = _all_values(results, runs_of(results, RATIOS, n), "posterior_std")
    matching = _at(bounds, 1.0, 1.0)
    leads: Values = {
        f"ratio {format_value(ratio)}": paired(matching, rival)
        for ratio, rival in bounds.items()
        if ratio != 1.0 and rival.notna().all()
    }
    if not leads:
        raise NotRun("no completed runs with another ratio of std and latent scale than 1")
    return leads


@statistic
def learned_is_like_unit_std(results: Watched, n: Dim) -> Values:
    """How much closer the final test bound of `learned` is to that of std 1 than to that of each
    other std, at each latent scale and the same seed, in nats. Rivals that diverged are left out.

    The stds have the values of the scales. Their runs are those with the ratio of std and scale.
    """
    bounds, learned = _ratios_and_learned(results, n)
    leads: Values = {}
    for scale, own in learned.items():
        to_unit = _distance(own, _at(bounds, 1.0, scale))
        for std in learned:
            if std != 1.0 and (rival := _at(bounds, std, scale)).notna().all():
                place = f"latent_scale {format_value(scale)}, std {format_value(std)}"
                leads[place] = paired(_distance(own, rival), to_unit)
    if not leads:
        raise NotRun("no completed runs with another std than 1")
    return leads


@statistic
def unit_std_minus_learned(results: Watched, n: Dim) -> Values:
    """Final test bound of std 1 minus that of `learned`, at each latent scale and the same seed, in
    nats.

    The run of std 1 is that with the ratio of 1 and the scale.
    """
    bounds, learned = _ratios_and_learned(results, n)
    return {
        f"latent_scale {format_value(scale)}": paired(_at(bounds, 1.0, scale), own)
        for scale, own in learned.items()
    }


@statistic
def scaled_minus_ratio(results: Watched, n: Dim) -> Values:
    """Final test bound of a constant std on scaled codes minus that of the ratio of std and scale
    on codes that are not scaled, at the same seed, in nats.
    """
    control, rows = runs_of(results, SCALED_CONTROL, n), runs_of(results, RATIOS, n)
    _check_alike(control, rows)
    bounds = _by_value(rows, "posterior_std")
    differences: Values = {}
    for std, of_std in control.groupby("posterior_std"):
        for scale, scaled in _by_value(of_std, "latent_scale").items():
            if scale != 1.0:
                place = f"latent_scale {format_value(scale)}, std {format_value(float(str(std)))}"
                differences[place] = paired(scaled, _at(bounds, float(str(std)), scale))
    if not differences:
        raise NotRun("no runs with another latent scale than 1")
    return differences


Bounds = dict[float, pd.Series]
"""The final test bounds by seed, for each value of an axis. A run that is missing is missing, and
NaN stands for one that diverged."""


def _by_value(rows: pd.DataFrame, axis: str) -> Bounds:
    return {float(str(value)): by_seed(group, "test_elbo") for value, group in rows.groupby(axis)}


def _all_values(results: Watched, rows: pd.DataFrame, axis: str) -> Bounds:
    """As `_by_value`, for claims about all planned values of the axis.

    Raises:
        NotRun: no run with one of the values is trained, so that other values alone would decide.
    """
    bounds = _by_value(rows, axis)
    first = rows.iloc[0]
    same = {name: first[name] for name in ("objective", "latent_dim")}
    planned = results.planned(str(first["experiment"]), **same)[axis].unique()
    if missing := [float(value) for value in planned if float(value) not in bounds]:
        raise NotRun(f"no runs with {axis} {', '.join(map(format_value, missing))}")
    return bounds


def _at(bounds: Bounds, std: float, scale: float) -> pd.Series:
    """The bounds of the runs that stand for `std` at `scale`, see `results/ratio.py`."""
    ratio = with_ratio(bounds, std, scale)
    if ratio is None:
        raise NotRun(
            f"no runs with the ratio {std / scale:.3g}, for std {format_value(std)} at "
            f"latent_scale {format_value(scale)}"
        )
    return bounds[ratio]


def _ratios_and_learned(results: Watched, n: Dim) -> tuple[Bounds, Bounds]:
    """The bounds of BILBO by ratio of std and scale, and those of `learned` by latent scale."""
    ratios, learned = runs_of(results, RATIOS, n), runs_of(results, SCALED_LEARNED, n)
    _check_alike(ratios, learned)
    by_scale = _all_values(results, learned, "latent_scale")
    return _by_value(ratios, "posterior_std"), by_scale


def _distance(first: pd.Series, second: pd.Series) -> pd.Series:
    """The absolute differences at the seeds that both have."""
    shared = first.index.intersection(second.index)
    return (first[shared] - second[shared]).abs()


def _check_alike(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Check that runs of two experiments differ in what Fig. 8 compares, and in nothing else.

    Raises:
        NotRun: they differ in another setting.
    """
    both = pd.concat([first, second])
    compared = {"seed", "objective", "posterior", "prior", "posterior_std", "latent_scale"}
    settings = [name for name in [*Settings.model_fields, *known_parameters()] if name in both]
    if others := [s for s in settings if s not in compared and both[s].nunique(dropna=False) > 1]:
        names = " and ".join(f"'{rows.iloc[0]['experiment']}'" for rows in (first, second))
        raise NotRun(f"{names} differ in {', '.join(others)}, so their bounds are not compared")
