"""Numbers of a run from numbers of its images."""

from __future__ import annotations

import numpy as np
from scipy import stats
from torch import Tensor

from vaebench.equations.per_image import PerImage


def per_image_statistics(found: PerImage, active: Tensor) -> dict[str, float]:
    """The statistics of Eqs. 9 to 18.

    Args:
        found: of the images.
        active: which dimensions are active, boolean of shape [latent]. All of them if none is.
    """
    used = active if bool(active.any()) else ~active
    root = float(used.sum()) ** 0.5
    averaged = found.ratio_averaged[:, used]

    def mean(values: Tensor) -> float:
        return float(values.mean())

    def median(values: Tensor) -> float:
        return float(values.median())

    def quantile(values: Tensor, q: float) -> float:
        return float(np.quantile(values.numpy(), q))

    return {
        "eq9_gradient": median(found.gradient_averaged) / root,
        "eq11_gradient": median(found.gradient) / root,
        "eq11_relative": median(found.relative),
        "eq12_point": mean(found.ratio_point[:, used]) - 1,
        "eq12_averaged": mean(averaged) - 1,
        "eq12_exact": mean(found.ratio_exact[:, used]) - 1,
        "eq12_low": quantile(averaged, 0.05) - 1,
        "eq12_high": quantile(averaged, 0.95) - 1,
        "eq12_diagonal_loss": mean(found.diagonal_loss),
        "eq16_at_mean": mean(found.laplace_at_mean),
        "eq16_at_mode": mean(found.laplace_at_mode),
        "eq16_at_mode_median": median(found.laplace_at_mode),
        "eq16_spread": mean(found.laplace_at_mode.abs()),
        "eq17_error": mean(found.elbo_17),
        "eq18_gap": mean(found.gap),
        "eq18_gap_median": median(found.gap),
        "eq18_point": mean(found.gap_point),
        "eq18_averaged": mean(found.gap_averaged),
        "eq18_averaged_median": median(found.gap_averaged),
        "eq18_error": mean(found.gap_averaged - found.gap),
        "eq18_correlation": rank_correlation(found.gap_averaged, found.gap),
    }


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's. NaN for fewer than three images."""
    if len(first) < 3:
        return float("nan")
    return float(stats.spearmanr(first.numpy(), second.numpy()).statistic)
