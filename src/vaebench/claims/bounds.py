"""Statistics of bounds."""

from math import log

import pandas as pd

from vaebench.claims.jackknife import log_std, pseudo_values
from vaebench.claims.needs import (
    BAGGINS_SCALES,
    BAGGINS_TAUS,
    LEARNED_T,
    SCALED_CODES,
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
    columns_of,
    mean_over,
    paired,
    runs_of,
)
from vaebench.experiment.needs import Need
from vaebench.experiment.settings import format_value

WITH_LEARNED = SCALED_CODES.having(objective=("bilbo", "learned"))


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
