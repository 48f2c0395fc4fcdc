"""Pseudo-values of the jackknife: a number a seed for a statistic of all seeds together.

A spread or a correlation over seeds is one number, and has no value for each seed. Tukey's (1958)
pseudo-value of a seed is `N t - (N - 1) t_without`: N times the statistic of all N seeds, less
N - 1 times that without this seed. Pseudo-values are treated as independent, and their mean as the
statistic. The mean of what is linear in the seeds is the statistic itself. Miller (1968) shows that
the t interval of the pseudo-values of a log variance holds without normality, which that of the
chi-squared distribution does not.
"""

from collections.abc import Callable
from math import atanh

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST_CORRELATION = 1 - 1e-9
"""A larger correlation is taken as this, so that Fisher's z is finite."""


def pseudo_values(sample: Array, estimator: Callable[[Array], float]) -> list[float]:
    """The pseudo-value of each row of a sample.

    Args:
        sample: a row for each seed, shape [N] or [N, columns].
        estimator: takes such rows; it has to work without any one of them.

    Returns:
        N numbers, in the order of the rows. All are NaN if a number of the sample is, so that no
        mean hides a diverged run.
    """
    count = len(sample)
    if not np.isfinite(sample).all():
        return [float("nan")] * count
    whole = estimator(sample)
    without = [estimator(np.delete(sample, k, axis=0)) for k in range(count)]
    return [count * whole - (count - 1) * left for left in without]


def log_std(values: Array) -> float:
    """The log of the sample standard deviation (N - 1) of shape [N]. It is -inf if none differs."""
    deviation = float(np.std(values, ddof=1))
    return float(np.log(deviation)) if deviation > 0 else float("-inf")


def fisher_z(pairs: Array) -> float:
    """Fisher's z = artanh r of the correlation r of two columns, shape [N, 2].

    It is NaN if a column does not vary.
    """
    x, y = (pairs - pairs.mean(0)).T
    norm = float(np.sqrt((x @ x) * (y @ y)))
    if norm == 0:
        return float("nan")
    correlation = float(x @ y) / norm
    return atanh(max(-LARGEST_CORRELATION, min(LARGEST_CORRELATION, correlation)))
