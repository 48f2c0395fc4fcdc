"""Statistics on samples: kernel distances (KID) of a classifier's features, and pixels.

Differences of the log of KID are logs of ratios: 0.69 is a factor of two. KID is unbiased, so that
of very good samples may be below 0; it is then taken at the floor of training images.
"""

import numpy as np
import pandas as pd

from vaebench.claims import NotRun, statistic
from vaebench.claims.select import Dim, by_seed, by_seed_and, paired, runs_of
from vaebench.results import Results

LEAST_KID = 1e-6


@statistic
def kid_difference(results: Results, of: str, minus: str, n: Dim) -> list[float]:
    """Log KID of one objective's samples minus another's at the same seed, Bernoulli likelihood."""
    first, second = (
        by_seed(_measured(results, "posterior_variance", n, objective=name), "log_kid")
        for name in (of, minus)
    )
    return paired(first, second)


@statistic
def kid_range_unit_variance(results: Results, n: Dim) -> list[float]:
    """Log of the worst over the best KID among data scales, T = I."""
    return _values(_unit_variance_range(results, n))


@statistic
def kid_range_baggins(results: Results, n: Dim) -> list[float]:
    """Log of the worst over the best KID among data scales, BAGGINS."""
    return _values(_baggins_range(results, n))


@statistic
def kid_range_difference(results: Results, n: Dim) -> list[float]:
    """Log of the worst over the best KID among data scales, T = I minus BAGGINS."""
    return paired(_unit_variance_range(results, n), _baggins_range(results, n))


@statistic
def kid_range_high_minus_low(results: Results) -> list[float]:
    """Log of the worst over the best KID among data scales, T = I, high n minus low n."""
    return paired(_unit_variance_range(results, "high"), _unit_variance_range(results, "low"))


@statistic
def best_unit_variance_minus_baggins(results: Results, n: Dim, tau: float) -> list[float]:
    """Log KID of T = I at its best data scale, minus that of BAGGINS at a data scale of 1."""
    unit = by_seed_and(
        _measured(results, "gaussian_scale", n, likelihood="gaussian"), "data_scale", "log_kid"
    ).min(axis=1)
    rows = _measured(results, "baggins_information", n, tau=tau)
    return paired(unit, by_seed(rows, "log_kid"))


@statistic
def gaussian_minus_bernoulli(results: Results, n: Dim) -> list[float]:
    """Log KID of the best Gaussian likelihood (T = I over data scales, BAGGINS over tau), minus
    that of the Bernoulli likelihood, all under BILBO.
    """
    return _values(_gaussian_minus_bernoulli(results, n))


@statistic
def gaussian_minus_bernoulli_high_minus_low(results: Results) -> list[float]:
    """Log KID of the best Gaussian minus the Bernoulli likelihood, high n minus low n."""
    return paired(
        _gaussian_minus_bernoulli(results, "high"), _gaussian_minus_bernoulli(results, "low")
    )


@statistic
def best_tau(results: Results, n: Dim, against: float) -> list[float]:
    """Log of the tau with the lowest KID over a given tau."""
    rows = _measured(results, "baggins_information", n)
    table = by_seed_and(rows, "tau", "log_kid")
    return [float(np.log(best / against)) for best in table.dropna().idxmin(axis=1)]


@statistic
def sharpness_slope(results: Results, n: Dim) -> list[float]:
    """Slope of the samples' sharpness (1 is that of test images) on log10 of tau, BAGGINS."""
    return _tau_slope(results, n, "sample_sharpness")


@statistic
def components_slope(results: Results, n: Dim) -> list[float]:
    """Slope of a sample's mean number of connected components on log10 of tau, BAGGINS."""
    return _tau_slope(results, n, "sample_components")


@statistic
def learned_variance_mean_image(results: Results, n: Dim) -> list[float]:
    """Samples' mean squared distance from the mean image over that of test images, learned T, mean
    over data scales: 0 if all samples are the mean image.
    """
    rows = _measured(results, "gaussian_scale", n, likelihood="gaussian-learned")
    distances = rows["sample_mean_image_distance"].astype(float).groupby(rows["seed"])
    return _values(distances.mean())


def _measured(results: Results, experiment: str, n: Dim, **settings: object) -> pd.DataFrame:
    """Runs with `log_kid`, NaN where they diverged."""
    rows = runs_of(results, experiment, n, **settings)
    if not results.tier.experiment(experiment).sample_quality:
        raise NotRun(f"'{experiment}' does not measure sample quality")
    floor = rows["floor_kid"].astype(float).clip(lower=LEAST_KID)
    kid = rows["sample_kid"].astype(float)
    return rows.assign(log_kid=np.log(kid.where((kid > floor) | kid.isna(), floor)))


def _range(rows: pd.DataFrame) -> pd.Series:
    table = by_seed_and(rows, "data_scale", "log_kid")
    return table.max(axis=1, skipna=False) - table.min(axis=1, skipna=False)


def _unit_variance_range(results: Results, n: Dim) -> pd.Series:
    return _range(_measured(results, "gaussian_scale", n, likelihood="gaussian"))


def _baggins_range(results: Results, n: Dim) -> pd.Series:
    return _range(_measured(results, "baggins_scale", n))


def _gaussian_minus_bernoulli(results: Results, n: Dim) -> pd.Series:
    unit = _measured(results, "gaussian_scale", n, likelihood="gaussian")
    bounded = _measured(results, "baggins_information", n)
    best = pd.concat([unit, bounded]).groupby("seed")["log_kid"].min()
    bernoulli = by_seed(_measured(results, "posterior_variance", n, objective="bilbo"), "log_kid")
    shared = best.index.intersection(bernoulli.index)
    return best[shared] - bernoulli[shared]


def _tau_slope(results: Results, n: Dim, column: str) -> list[float]:
    table = by_seed_and(_measured(results, "baggins_information", n), "tau", column)
    log_tau = np.log10(table.columns.to_numpy(dtype=float))
    return [float(np.polyfit(log_tau, row, 1)[0]) for row in table.dropna().to_numpy()]


def _values(series: pd.Series) -> list[float]:
    return [float(value) for value in series]
