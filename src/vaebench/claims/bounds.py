"""Statistics of bounds."""

from math import log

import pandas as pd

from vaebench.claims.jackknife import log_std, pseudo_values
from vaebench.claims.needs import (
    BAGGINS_SCALES,
    BAGGINS_TAUS,
    LEARNED_T,
    RATIOS,
    SCALED_CONTROL,
    SCALED_LEARNED,
    SHARED_T,
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
    check_all_values,
    mean_over,
    paired,
    runs_of,
)
from vaebench.experiment.settings import Settings, format_value, known_parameters
from vaebench.results.ratio import with_ratio


@statistic
def bound_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Final test bound of one objective minus another's at the same seed, in nats."""
    first, second = _columns(results, of, minus, n, "test_elbo")
    return {"": paired(first, second)}


@statistic
def training_bound_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Final bound on the training set of one objective minus another's at the same seed, in
    nats.
    """
    first, second = _columns(results, of, minus, n, "train_elbo")
    return {"": paired(first, second)}


@statistic
def train_test_gap_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Gap between the final bounds on the training and on the test set, of one objective minus
    another's at the same seed, in nats; above 0 is more overfitting.
    """
    gaps = [
        train - test
        for train, test in zip(
            _columns(results, of, minus, n, "train_elbo"),
            _columns(results, of, minus, n, "test_elbo"),
            strict=True,
        )
    ]
    return {"": paired(*gaps)}


@statistic
def constant_forms_minus_learned(results: Watched, n: Dim) -> Values:
    """Final test bound of a constant variance, mean over its two forms `constant` and `bilbo`,
    minus that of `learned`, at the seeds that all three have, in nats.

    The two forms are one objective. What differs between their runs is rounding, which training
    amplifies, so that they are two draws of the same seed.
    """
    need = VARIANCES.having(objective=("constant", "bilbo", "learned"))
    constant, bilbo, learned = (
        by_seed(runs_of(results, need, n, objective=name), "test_elbo")
        for name in ("constant", "bilbo", "learned")
    )
    both = pd.concat([constant, bilbo], axis=1, join="inner").mean(axis=1, skipna=False)
    return {"": paired(both, learned)}


@statistic
def baggins_minus_shared(results: Watched, n: Dim, tau: float) -> Values:
    """Final test bound of BILBO with BAGGINS minus that of learned posterior variances with one
    learned T, at the same seed, in nats of the unscaled data.

    The bound of BAGGINS is that with one T, the mean squared residual of the training set, since
    its own T depends on x. So both bounds are of one scalar T.
    """
    bounded = runs_of(results, BAGGINS_TAUS.having(tau=(tau,)), n, tau=tau)
    shared = runs_of(results, SHARED_T, n)
    first, second = (by_seed(rows, "test_elbo_data_units") for rows in (bounded, shared))
    return {"": paired(first, second)}


def _columns(
    results: Watched, of: str, minus: str, n: Dim, column: str
) -> "tuple[pd.Series[float], pd.Series[float]]":
    """A column of the runs of two objectives, each by seed."""
    need = VARIANCES.having(objective=(of, minus))
    first, second = (
        by_seed(runs_of(results, need, n, objective=name), column) for name in (of, minus)
    )
    return first, second


@statistic
def log_spread(results: Watched, objective: str, n: Dim, reference: float) -> Values:
    """Log of the standard deviation of the final test bound over seeds, over a reference in nats,
    as jackknife pseudo-values of the seeds.

    A standard deviation is one number of all seeds. See `jackknife.py` for what stands for each.
    """
    need = VARIANCES.having(objective=(objective,))
    bounds = by_seed(runs_of(results, need, n, objective=objective), "test_elbo")
    if len(bounds) < 3:
        raise NotRun("fewer than three seeds")
    return {"": [x - log(reference) for x in pseudo_values(bounds.to_numpy(), log_std)]}


@statistic
def learned_variance_residual(results: Watched, n: Dim) -> Values:
    """Test residual under learned T over that of always showing the mean image, mean over the
    data scales that were run: 1 if nothing of the input is reconstructed.
    """
    rows = runs_of(results, LEARNED_T, n)
    residuals = rows["test_mse"].astype(float) / rows["test_mean_image_mse"]
    return {**mean_over(rows, "data_scale", residuals)}


@statistic
def scale_changes_bound(results: Watched, n: Dim) -> Values:
    """Final test bound under BAGGINS at each data scale minus that at 1, at the same seed, in nats
    of the unscaled data.
    """
    rows = runs_of(results, BAGGINS_SCALES, n)
    bounds = by_seed_and(results, rows, "data_scale", "test_elbo_data_units")
    return {**against(bounds, 1.0, "data_scale")}


@statistic
def matching_std_is_best(results: Watched, n: Dim) -> Values:
    """Final test bound of the constant posterior whose std is the latent scale, minus that of each
    other ratio of std and scale, at the same seed, in nats. A rival whose runs all diverged is left
    out.

    The ratio alone decides the bound, see `results/ratio.py`, so this holds at each scale or none.
    """
    bounds = _all_values(results, runs_of(results, RATIOS, n), "posterior_std")
    matching = _at(bounds, 1.0, 1.0)
    leads: Values = {
        f"ratio {format_value(ratio)}": paired(matching, rival)
        for ratio, rival in bounds.items()
        if ratio != 1.0 and rival.notna().any()
    }
    if not leads:
        raise NotRun("no completed runs with another ratio of std and latent scale than 1")
    return leads


@statistic
def learned_is_like_unit_std(results: Watched, n: Dim) -> Values:
    """How much closer the final test bound of `learned` is to that of std 1 than to that of each
    other std, at each latent scale and the same seed, in nats. A rival whose runs all
    diverged is left out.

    The stds have the values of the scales. Their runs are those with the ratio of std and scale.
    """
    bounds, learned = _ratios_and_learned(results, n)
    leads: Values = {}
    for scale, own in learned.items():
        to_unit = _distance(own, _at(bounds, 1.0, scale))
        for std in learned:
            if std != 1.0 and (rival := _at(bounds, std, scale)).notna().any():
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
    """As `_by_value`, for claims about all planned values of the axis."""
    check_all_values(results, rows, axis)
    return _by_value(rows, axis)


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
