"""Statistics of samples: distances and neighbourhoods of a classifier's features, and pixels.

A difference of log KID is the log of a ratio: 0.69 is a factor of two. The estimator of KID is
unbiased, so it may be negative for very good samples. A KID below that of training images is
replaced by the latter. Density and coverage may be 0 for very bad samples, so that one
neighbourhood of one image, or half an image, is added where a log is taken.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from vaebench.claims.needs import BAGGINS_SCALES, BAGGINS_TAUS, BERNOULLI, LEARNED_T, UNIT_T
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import (
    Dim,
    Watched,
    against,
    best_of,
    by_seed,
    by_seed_and,
    mean_over,
    paired,
    range_of,
    runs_of,
)
from vaebench.experiment.needs import Need
from vaebench.experiment.settings import format_value

LEAST_KID = 1e-6


@statistic
def kid_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Log KID of one objective's samples minus another's at the same seed, Bernoulli likelihood."""
    return _difference(results, of, minus, n, lambda rows: rows["log_kid"])


@statistic
def fid_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Log FID of one objective's samples minus another's at the same seed, Bernoulli likelihood."""
    return _difference(results, of, minus, n, lambda rows: _log(rows["sample_fid"]))


@statistic
def density_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Log density of one objective's samples minus another's at the same seed, Bernoulli
    likelihood; density is the mean number of test images' neighbourhoods that a sample is in.
    """

    def log_density(rows: pd.DataFrame) -> "pd.Series[float]":
        return _log(rows["sample_density"].astype(float) + 1 / rows["sample_images"])

    return _difference(results, of, minus, n, log_density)


@statistic
def coverage_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Log odds of the coverage of one objective's samples minus another's at the same seed,
    Bernoulli likelihood; coverage is the share of test images with a sample in their neighbourhood.
    """

    def log_odds(rows: pd.DataFrame) -> "pd.Series[float]":
        covered = rows["sample_coverage"].astype(float) * rows["sample_images"]
        return _log((covered + 0.5) / (rows["sample_images"] - covered + 0.5))

    return _difference(results, of, minus, n, log_odds)


@statistic
def kid_at_extreme_scale(results: Watched, n: Dim, scale: Literal["smallest", "largest"]) -> Values:
    """Log KID at the smallest or largest data scale minus that at the best other one, T = I; the
    best is the one with the lowest mean over seeds.
    """
    table = _unit_variance(results, n)
    extreme = table.columns[0 if scale == "smallest" else -1]
    return {"": paired(table[extreme], best_of(table.drop(columns=extreme)))}


@statistic
def scale_changes_kid(results: Watched, n: Dim) -> Values:
    """Log KID under BAGGINS at each data scale minus that at 1, at the same seed."""
    return {**against(_bounded(results, n), 1.0, "data_scale")}


@statistic
def kid_range_difference(results: Watched, n: Dim) -> Values:
    """Log of the worst over the best KID among data scales, T = I minus BAGGINS."""
    unit, bounded = _unit_variance(results, n), _bounded(results, n)
    shared = [scale for scale in unit.columns if scale in bounded.columns]
    return {"": paired(range_of(unit[shared]), range_of(bounded[shared]))}


@statistic
def kid_range_high_minus_low(results: Watched) -> Values:
    """Log of the worst over the best KID among data scales, T = I, high n minus low n."""
    high, low = _unit_variance(results, "high"), _unit_variance(results, "low")
    shared = [scale for scale in high.columns if scale in low.columns]
    return {"": paired(range_of(high[shared]), range_of(low[shared]))}


@statistic
def best_unit_variance_minus_baggins(results: Watched, n: Dim, tau: float) -> Values:
    """Log KID of T = I at its best data scale, minus that of BAGGINS at a data scale of 1; the best
    is the one with the lowest mean over seeds.
    """
    rows = _measured(results, BAGGINS_TAUS.having(tau=(tau,)), n, tau=tau)
    return {"": paired(best_of(_unit_variance(results, n)), by_seed(rows, "log_kid"))}


@statistic
def gaussian_minus_bernoulli(results: Watched, n: Dim) -> Values:
    """Log KID of each Gaussian likelihood (T = I at each data scale, BAGGINS at each tau), minus
    that of the Bernoulli likelihood at the same seed, all under BILBO.
    """
    bernoulli = _bernoulli(results, n)
    variants = _gaussians(results, n)
    return {str(name): paired(variants[name], bernoulli) for name in variants.columns}


@statistic
def gaussian_minus_bernoulli_high_minus_low(results: Watched) -> Values:
    """Log KID of the best Gaussian likelihood minus that of the Bernoulli one, high n minus low n;
    the best is the one with the lowest mean over seeds.
    """
    effects = []
    for n in ("high", "low"):
        best, bernoulli = best_of(_gaussians(results, n)), _bernoulli(results, n)
        shared = best.index.intersection(bernoulli.index)
        effects.append(best[shared] - bernoulli[shared])
    return {"": paired(*effects)}


@statistic
def regret_of_tau(results: Watched, n: Dim, tau: float) -> Values:
    """Log KID under BAGGINS with this tau minus that with each other tau, at the same seed."""
    table = by_seed_and(results, _measured(results, BAGGINS_TAUS, n), "tau", "log_kid")
    differences = against(table, tau, "tau")
    return {place: [-value for value in values] for place, values in differences.items()}


@statistic
def sharpness_on_tau(results: Watched, n: Dim) -> Values:
    """Slope of the samples' sharpness (1 is that of test images) on log10 of tau, BAGGINS."""
    return _slope(results, _measured(results, BAGGINS_TAUS, n), "tau", "sample_sharpness")


@statistic
def sharpness_on_scale(results: Watched, n: Dim) -> Values:
    """Slope of the samples' sharpness (1 is that of test images) on log10 of the data scale,
    T = I.
    """
    rows = _measured(results, UNIT_T, n)
    return _slope(results, rows, "data_scale", "sample_sharpness")


@statistic
def components_on_tau(results: Watched, n: Dim) -> Values:
    """Slope of a sample's mean number of connected components on log10 of tau, BAGGINS."""
    return _slope(results, _measured(results, BAGGINS_TAUS, n), "tau", "sample_components")


@statistic
def learned_variance_mean_image(results: Watched, n: Dim) -> Values:
    """Samples' mean squared distance from the mean image over that of test images, learned T, mean
    over the data scales that were run: 0 if all samples are the mean image.
    """
    rows = _measured(results, LEARNED_T, n)
    return {**mean_over(rows, "data_scale", rows["sample_mean_image_distance"])}


def _difference(
    results: Watched,
    of: str,
    minus: str,
    n: Dim,
    measure: "Callable[[pd.DataFrame], pd.Series[float]]",
) -> Values:
    """A measure of the samples of one objective minus another's, Bernoulli likelihood."""
    need = BERNOULLI.having(objective=(of, minus))
    found = []
    for name in (of, minus):
        rows = _measured(results, need, n, objective=name)
        found.append(by_seed(rows.assign(value=measure(rows)), "value"))
    return {"": paired(*found)}


def _log(values: "pd.Series[float]") -> "pd.Series[float]":
    """The log of positive numbers, NaN for a null."""
    numbers: pd.Series[float] = values.astype(float).map(np.log)
    return numbers


def _measured(results: Watched, need: Need, n: Dim, **settings: object) -> pd.DataFrame:
    """Runs with `log_kid`, NaN where they diverged."""
    rows = runs_of(results, replace(need, measured=True), n, **settings)
    floor = rows["floor_kid"].astype(float).clip(lower=LEAST_KID)
    kid = rows["sample_kid"].astype(float)
    return rows.assign(log_kid=np.log(kid.where((kid > floor) | kid.isna(), floor)))


def _unit_variance(results: Watched, n: Dim) -> pd.DataFrame:
    rows = _measured(results, UNIT_T, n)
    return by_seed_and(results, rows, "data_scale", "log_kid")


def _bounded(results: Watched, n: Dim) -> pd.DataFrame:
    return by_seed_and(results, _measured(results, BAGGINS_SCALES, n), "data_scale", "log_kid")


def _bernoulli(results: Watched, n: Dim) -> pd.Series:
    need = BERNOULLI.having(objective=("bilbo",))
    return by_seed(_measured(results, need, n, objective="bilbo"), "log_kid")


def _gaussians(results: Watched, n: Dim) -> pd.DataFrame:
    """Log KID of all Gaussian likelihoods: seeds by a name for each."""
    unit = _unit_variance(results, n)
    bounded = by_seed_and(results, _measured(results, BAGGINS_TAUS, n), "tau", "log_kid")
    return pd.concat(
        [
            unit.rename(columns=lambda scale: f"T = I, data_scale {format_value(float(scale))}"),
            bounded.rename(columns=lambda tau: f"BAGGINS, tau {format_value(float(tau))}"),
        ],
        axis=1,
        join="inner",
    )


def _slope(results: Watched, rows: pd.DataFrame, axis: str, column: str) -> Values:
    """The slope of a column on the log of an axis for each seed; NaN if a run diverged."""
    table = by_seed_and(results, rows, axis, column)
    x = np.log10(table.columns.to_numpy(dtype=float))
    return {
        "": [
            float(np.polyfit(x, y, 1)[0]) if np.isfinite(y).all() else float("nan")
            for y in table.to_numpy()
        ]
    }
