"""Statistics of two-dimensional codes: the posterior means and variances of the test set."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vaebench.claims.needs import BAGGINS_TAUS, CONSTANT_STD, UNIT_T, VARIANCES
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import (
    NotRun,
    Watched,
    by_seed,
    check_all_values,
    of_whole_seeds,
    paired,
    runs_of,
)
from vaebench.experiment.needs import Need
from vaebench.experiment.settings import format_value

Array = NDArray[np.float64]
Measure = Callable[[Array, NDArray[np.uint8]], float]
LEARNED = VARIANCES.having(objective=("learned",))
STDS_OF_FIG_9 = (0.1, 10.0)
"""The stds for which the claim of Fig. 9 is judged. Wider ones are in the grid for Fig. 8."""
SPREAD = 1e-3
"""Codes are collapsed if their standard deviation is below this share of the posterior's."""
INNER = 0.95
"""The share of codes that span the area in which gaps are looked for."""
NEAR = 0.1
"""In standard deviations of all codes. Ten thousand codes that fill the area have some 20 in it."""
PLACES = 80
"""Places in each direction at which gaps are looked for."""


@statistic
def variance_curvature(results: Watched) -> Values:
    """Quadratic coefficient of the log posterior variance in the standardised mean of the same
    dimension, mean over the two dimensions; above 0 is a U.
    """

    def curvature(z: Array, variance: Array) -> float:
        return float(np.mean([np.polyfit(z[:, j], np.log(variance[:, j]), 2)[0] for j in (0, 1)]))

    return _of_learned_variances(results, curvature)


@statistic
def variance_explained_by_other(results: Watched) -> Values:
    """Share of the log posterior variance that a parabola in the mean of the other dimension
    explains, mean over the two dimensions.
    """

    def explained(z: Array, variance: Array) -> float:
        shares = [_explained(z[:, 1 - j], np.log(variance[:, j])) for j in (0, 1)]
        return float(np.mean(shares))

    return _of_learned_variances(results, explained)


@statistic
def variance_correlation_with_other(results: Watched) -> Values:
    """Size of the correlation of the posterior variance with the mean of the other dimension, mean
    over the two dimensions.

    Its sign is that of the codes' arrangement, which is another one in each run.
    """

    def correlation(z: Array, variance: Array) -> float:
        return float(np.mean([abs(_correlation(z[:, 1 - j], variance[:, j])) for j in (0, 1)]))

    return _of_learned_variances(results, correlation)


def _of_learned_variances(results: Watched, measure: Callable[[Array, Array], float]) -> Values:
    """A measure of the standardised means and the variances of each run of Fig. 3.

    It is NaN if the run diverged or a dimension is collapsed.
    """
    rows = runs_of(results, LEARNED, "low", objective="learned")
    values = []
    for _, row in rows.sort_values("seed").iterrows():
        arrays = results.arrays(row)
        mean, std = (arrays[k].astype(float) for k in ("posterior_mean", "posterior_std"))
        usable = row["status"] == "completed" and np.isfinite(mean).all() and (std > 0).all()
        if usable and (mean.std(0) > 0).all():
            z = (mean - mean.mean(0)) / mean.std(0)
            values.append(measure(z, std**2))
        else:
            values.append(float("nan"))
    return {"": values}


def _correlation(x: Array, y: Array) -> float:
    """Pearson's. It is 0 if one of the two does not vary."""
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0 else 0.0


def _explained(z: Array, y: Array) -> float:
    residual = y - np.polyval(np.polyfit(z, y, 2), z)
    return float(1 - residual.var() / y.var())


@statistic
def label_share_difference(results: Watched, of: str, minus: str) -> Values:
    """Share of the whitened codes' variance that lies between labels, one objective minus another
    at the same seed.
    """
    need = VARIANCES.having(objective=(of, minus))
    first, second = (
        by_seed(_with_measure(results, need, label_share, objective=name), "value")
        for name in (of, minus)
    )
    return {"": paired(first, second)}


@statistic
def std_changes_label_share(results: Watched) -> Values:
    """Share of the whitened codes' variance that lies between labels, at each constant posterior
    std from 0.1 to 10 minus that at 1, at the same seed.
    """
    rows = _with_measure(results, CONSTANT_STD, label_share)
    check_all_values(results, rows, "posterior_std")
    near = rows[rows["posterior_std"].between(*STDS_OF_FIG_9)]
    # Not as one table: a run that is not trained yet has not diverged.
    shares = {float(str(s)): by_seed(own, "value") for s, own in near.groupby("posterior_std")}
    if 1.0 not in shares:
        raise NotRun("no runs with posterior_std 1")
    differences: Values = {
        f"posterior_std {format_value(std)}": paired(share, shares[1.0])
        for std, share in shares.items()
        if std != 1.0
    }
    if not differences:
        raise NotRun("posterior_std has one value only")
    return differences


@statistic
def pinching_slope(results: Watched) -> Values:
    """Slope of median radius over root mean square radius of the codes on log10 of the data scale,
    T = I; below 0 is a pinch towards the origin. Collapsed codes are left out.
    """
    return _slopes(results, UNIT_T, "data_scale", median_radius)


@statistic
def radial_slope(results: Watched) -> Values:
    """Slope of the clusters' log radial over tangential deviation on log10 of the data scale,
    T = I; above 0 is more radial. Collapsed codes are left out.
    """
    return _slopes(results, UNIT_T, "data_scale", radial_spread)


@statistic
def gap_slope(results: Watched) -> Values:
    """Slope of the empty share of the area that codes cover on log10 of tau under BAGGINS; below 0
    is tightening. Collapsed codes are left out.
    """
    return _slopes(results, BAGGINS_TAUS, "tau", empty_share)


def _slopes(results: Watched, need: Need, axis: str, measure: Measure) -> Values:
    """The slope of a measure of the codes on the log of an axis, for each seed.

    Runs with a collapsed dimension are left out, since their codes are not two-dimensional.
    """
    rows = _with_measure(results, need, measure)
    if rows[axis].nunique() < 2:
        raise NotRun(f"{axis} has one value only")
    rows = of_whole_seeds(results, rows, axis)
    spread = rows[rows["test_active_units"].isna() | (rows["test_active_units"] == 2)]
    slopes = []
    for _, group in spread.groupby("seed"):
        x, y = np.log10(group[axis].astype(float)), group["value"].to_numpy()
        if len(x) >= 2:
            known = np.isfinite(y).all()
            slopes.append(float(np.polyfit(x, y, 1)[0]) if known else float("nan"))
    if not slopes:
        raise NotRun("the codes of all runs but one are collapsed")
    return {"": slopes}


def _with_measure(results: Watched, need: Need, measure: Measure, **settings: str) -> pd.DataFrame:
    """Runs with a measure of their codes as `value`; NaN where they diverged or are a point."""
    rows = runs_of(results, need, "low", **settings)
    values = []
    for _, row in rows.iterrows():
        arrays = results.arrays(row)
        codes, labels = arrays["posterior_mean"].astype(float), arrays["labels"]
        std = float(arrays["posterior_std"].astype(float).mean())
        usable = row["status"] == "completed" and np.isfinite(codes).all()
        spread = bool(usable) and (codes.std(0) > SPREAD * std).all()
        values.append(measure(codes, labels) if spread else np.nan)
    return rows.assign(value=values)


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

    The codes are not centred, since the claim is about the origin, which is the prior's mean.
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


def empty_share(codes: Array, _: NDArray[np.uint8]) -> float:
    """The share of the area covered by codes that is empty: the gaps between clusters.

    The area is the convex hull of the 95% of whitened codes that are nearest to their median, so
    that lone codes do not matter. A place in it is empty if no code is within `NEAR` of it.
    """
    # They take a second, and only this needs them.
    from scipy.spatial import ConvexHull, Delaunay, KDTree

    z = whiten(codes)
    distances = np.linalg.norm(z - np.median(z, axis=0), axis=1)
    inner = z[distances <= np.quantile(distances, INNER)]
    hull = Delaunay(inner[ConvexHull(inner).vertices])
    axes = np.linspace(inner.min(0), inner.max(0), PLACES).T
    places = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    places = places[hull.find_simplex(places) >= 0]
    nearest = np.asarray(KDTree(z).query(places)[0])
    return float((nearest > NEAR).mean())
