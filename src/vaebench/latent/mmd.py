"""The squared maximum mean discrepancy of codes from N(0, I).

The kernel is k(a, b) = exp(-|a - b|^2 / (2 s n)) at four scales s. Its expectations under N(0, I)
are in closed form, with h = s n:

    E k(z, .) = (h / (1 + h))^(n/2) exp(-|z|^2 / (2 (1 + h))),    E k = (h / (2 + h))^(n/2),

so that only pairs of the given codes are sums over draws, as a U-statistic, which is unbiased.
MMD^2 is to be compared over n only as a share of E k, which falls with n.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCALES = (0.25, 0.5, 1.0, 2.0)
"""s, each twice the one before: a kernel is then the square of the next."""
AT_ONCE = 2048


@torch.no_grad()
def squared_mmd(z: Tensor) -> dict[float, float]:
    """MMD^2 of codes from N(0, I), as a share of E k, by scale. It may be below 0 by chance.

    Args:
        z: float64, shape [B, latent], two or more.
    """
    count, latent = z.shape
    norm = z.square().sum(1)
    pairs = z.new_zeros(len(SCALES))
    widest = SCALES[-1] * latent
    for rows in torch.arange(count, device=z.device).split(AT_ONCE):
        apart = (norm[rows, None] + norm - 2 * (z[rows] @ z.T)).clamp_(min=0)
        kernel = apart.mul_(-0.5 / widest).exp_()
        for place in reversed(range(len(SCALES))):
            pairs[place] += kernel.sum()
            kernel.square_()
    found = {}
    for scale, total in zip(SCALES, pairs.tolist(), strict=True):
        h = scale * latent
        within = (total - count) / (count * (count - 1))
        across = (h / (1 + h)) ** (latent / 2) * (norm / (-2 * (1 + h))).exp().mean()
        prior = (h / (2 + h)) ** (latent / 2)
        found[scale] = (within - 2 * float(across) + prior) / prior
    return found
