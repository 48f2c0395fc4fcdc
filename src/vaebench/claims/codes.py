"""Statistics on two-dimensional codes: the posterior means and variances of the test set."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import KDTree

from vaebench.claims import NotRun, statistic
from vaebench.claims.select import runs_of
from vaebench.results import Results

Array = NDArray[np.float64]
SPREAD = 1e-3
"""Codes whose deviation from their mean is below this share of the posterior's are collapsed."""


@statistic
def variance_curvature(results: Results) -> list[float]:
    """Quadratic coefficient of the log posterior variance in the standardised mean of the same
    dimension, mean over the two dimensions; above 0 is a U.
    """
    return [
        float(np.mean([np.polyfit(z[:, j], log_variance[:, j], 2)[0] for j in (0, 1)]))
        for z, log_variance in _learned(results)
    ]


@statistic
def variance_explained_by_other(results: Results) -> list[float]:
    """Share of the log posterior variance that a parabola in the mean of the other dimension
    explains, mean over the two dimensions.
    """
    return [
        float(np.mean([_explained(z[:, 1 - j], log_variance[:, j]) for j in (0, 1)]))
        for z, log_variance in _learned(results)
    ]


def _learned(results: Results) -> list[tuple[Array, Array]]:
    """Standardised means and log variances of each run of Fig. 3."""
    rows = runs_of(results, "posterior_variance", "low", objective="learned")
    pairs = []
    for _, row in rows.sort_values("seed").iterrows():
        arrays = results.arrays(row)
        mean, std = (arrays[k].astype(float) for k in ("posterior_mean", "posterior_std"))
        kept = np.isfinite(mean).all(1) & np.isfinite(std).all(1) & (std > 0).all(1)
        z = (mean[kept] - mean[kept].mean(0)) / mean[kept].std(0)
        pairs.append((z, 2 * np.log(std[kept])))
    return pairs


def _explained(z: Array, y: Array) -> float:
    residual = y - np.polyval(np.polyfit(z, y, 2), z)
    return float(1 - residual.var() / y.var())


@statistic
def label_share_difference(results: Results, of: str, minus: str) -> list[float]:
    """Share of the whitened codes' variance that lies between labels, one objective minus another
    at the same seed.
    """
    shares = []
    for objective in (of, minus):
        rows = runs_of(results, "posterior_variance", "low", objective=objective)
        shares.append(_of_codes(results, rows, label_share).groupby(rows["seed"]).first())
    first, second = shares
    return [float(v) for v in (first - second).dropna()] or _nothing()


@statistic
def label_share_range(results: Results) -> list[float]:
    """Largest minus smallest share of the whitened codes' variance that lies between labels, over
    the constant posterior stds.
    """
    rows = runs_of(results, "constant_variance", "low")
    if rows["posterior_std"].nunique() < 2:
        raise NotRun("posterior_std has one value only")
    shares = _of_codes(results, rows, label_share).groupby(rows["seed"])
    return [float(v) for v in shares.max() - shares.min()]


@statistic
def pinching_slope(results: Results) -> list[float]:
    """Slope of median radius over root mean square radius of the whitened codes on log10 of the
    data scale, T = I; below 0 is a pinch towards the origin.
    """
    return _slopes(results, "gaussian_scale", "data_scale", median_radius, likelihood="gaussian")


@statistic
def radial_slope(results: Results) -> list[float]:
    """Slope of the clusters' log radial over tangential deviation on log10 of the data scale,
    T = I; above 0 is more radial.
    """
    return _slopes(results, "gaussian_scale", "data_scale", radial_spread, likelihood="gaussian")


@statistic
def gap_slope(results: Results) -> list[float]:
    """Slope of the log gap between labels, over their spread, on log10 of tau under BAGGINS; below
    0 is tightening.
    """
    return _slopes(results, "baggins_information", "tau", label_gap)


def _slopes(
    results: Results, experiment: str, axis: str, measure: Any, **settings: str
) -> list[float]:
    """The slope of a measure of the codes on the log of an axis, for each seed.

    Runs with a collapsed dimension have no two-dimensional codes, and are left out.
    """
    rows = runs_of(results, experiment, "low", **settings)
    if rows[axis].nunique() < 2:
        raise NotRun(f"{axis} has one value only")
    values = _of_codes(results, rows, measure)
    known = rows.assign(value=values)[values.notna() & (rows["test_active_units"] == 2)]
    slopes = [
        float(np.polyfit(np.log10(group[axis].astype(float)), group["value"], 1)[0])
        for _, group in known.groupby("seed")
        if group[axis].nunique() >= 2
    ]
    return slopes or _nothing()


def _nothing() -> list[float]:
    raise NotRun("all runs diverged or collapsed")


def _of_codes(results: Results, rows: pd.DataFrame, measure: Any) -> pd.Series:
    """A measure of each run's codes; NaN where the run diverged or its codes are a point."""
    values = []
    for _, row in rows.iterrows():
        arrays = results.arrays(row)
        codes, labels = arrays["posterior_mean"].astype(float), arrays["labels"]
        std = float(arrays["posterior_std"].astype(float).mean())
        usable = row["status"] == "completed" and np.isfinite(codes).all()
        spread = bool(usable) and (codes.std(0) > SPREAD * std).all()
        values.append(measure(codes, labels) if spread else np.nan)
    return pd.Series(values, index=rows.index, dtype=float)


def whiten(codes: Array) -> Array:
    """Codes [N, 2] brought to mean 0 and covariance 1, so that no scale or rotation matters."""
    centred = codes - codes.mean(0)
    lower = np.linalg.cholesky(np.cov(centred, rowvar=False))
    return np.asarray(np.linalg.solve(lower, centred.T).T)


def label_share(codes: Array, labels: NDArray[np.uint8]) -> float:
    """Between-label variance over all variance of whitened codes: 0 mixed, 1 separate points."""
    z = whiten(codes)
    means = np.stack([z[labels == k].mean(0) for k in np.unique(labels)])
    counts = np.array([(labels == k).sum() for k in np.unique(labels)])
    return float((counts[:, None] * means**2).sum() / (z**2).sum())


def median_radius(codes: Array, _: NDArray[np.uint8]) -> float:
    """Median over root mean square distance from the origin, each axis scaled to the same size.

    The codes are not centred: the prior's origin is what they pinch towards.
    """
    z = codes / np.sqrt((codes**2).mean(0))
    radius = np.linalg.norm(z, axis=1)
    return float(np.median(radius) / np.sqrt((radius**2).mean()))


def radial_spread(codes: Array, labels: NDArray[np.uint8]) -> float:
    """Log of radial over tangential deviation of each label's codes, mean over labels.

    Radial is the direction of the label's mean from the origin.
    """
    z = codes / np.sqrt((codes**2).mean(0))
    ratios = []
    for k in np.unique(labels):
        own = z[labels == k]
        direction = own.mean(0) / np.linalg.norm(own.mean(0))
        tangent = np.array([-direction[1], direction[0]])
        ratios.append(np.log((own @ direction).std() / (own @ tangent).std()))
    return float(np.mean(ratios))


def label_gap(codes: Array, labels: NDArray[np.uint8]) -> float:
    """Log of the median distance to the nearest code of another label, over the labels' spread.

    The spread is the root mean square deviation of codes from their label's mean.
    """
    gaps, deviations = [], []
    for k in np.unique(labels):
        own, others = codes[labels == k], codes[labels != k]
        gaps.append(KDTree(others).query(own)[0])
        deviations.append(((own - own.mean(0)) ** 2).sum(1))
    gap = np.median(np.concatenate(gaps))
    return float(np.log(max(gap, 1e-12) / np.sqrt(np.concatenate(deviations).mean())))
