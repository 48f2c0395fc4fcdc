"""Means and intervals over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds. Its deviation and interval are NaN if there is a single value."""

    count: int
    mean: float
    std: float
    """Sample standard deviation (n - 1)."""
    low: float
    high: float
    """The bounds of the 95% confidence interval of the mean are `low` and `high`."""


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of independent values with its 95% confidence interval, which is Student's t.

    If a value is not finite, the whole estimate is NaN, so that a mean does not hide a diverged
    run.
    """
    sample = np.asarray(values, dtype=float)
    count = len(sample)
    if count == 0 or not np.isfinite(sample).all():
        return Estimate(count, nan, nan, nan, nan)
    mean = float(sample.mean())
    if count == 1:
        return Estimate(1, mean, nan, nan, nan)
    if (sample == sample[0]).all():  # rounding of the mean is not a deviation
        return Estimate(count, float(sample[0]), 0.0, float(sample[0]), float(sample[0]))
    std = float(sample.std(ddof=1))
    half = student_quantile(0.5 + CONFIDENCE / 2, count - 1) * std / sqrt(count)
    return Estimate(count, mean, std, mean - half, mean + half)


def student_quantile(share: float, freedom: int) -> float:
    """The quantile of Student's t distribution.

    It is what `scipy.stats.t.ppf` computes. To import `scipy.stats` takes seconds.

    Args:
        share: of the distribution below the quantile, in (0, 1).
        freedom: degrees of freedom, at least 1.
    """
    return float(stdtrit(freedom, share))
