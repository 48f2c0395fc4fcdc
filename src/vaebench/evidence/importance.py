"""Importance weighting with q(z|x), and how far it can be trusted.

log w = log p(x, z) - log q(z|x) for z ~ q(z|x). E log mean_k w is a lower bound on log p(x), the
IWAE(k) of Burda et al. (2016), which rises with k. The shape k-hat of the upper tail of the weights
(Vehtari et al., 2024) tells whether their mean is near its limit: above 0.7 it is not.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians

AT_ONCE = 500
"""The most draws of an image that are decoded at once."""
UNTRUSTWORTHY = 0.7
"""A k-hat above this says that the importance weighted bound is not near the evidence."""
PRIOR_WEIGHT, PRIOR_SHAPE = 10, 0.5
"""Zhang and Stephens' estimate of k is averaged with 0.5, as if that were seen 10 times."""


@dataclass(frozen=True)
class Weights:
    """Importance weights of N images, float64."""

    log_w: Tensor
    """Shape [draw, N], in nats."""
    log_likelihood: Tensor
    """The mean of log p(x|z) over the draws, shape [N]."""


@torch.no_grad()
def importance_weights(
    density: Density, x: Tensor, posteriors: Gaussians, draws: int, generator: torch.Generator
) -> Weights:
    """Draw from q(z|x).

    Args:
        density: of the run.
        x: scaled data, shape [N, pixel].
        posteriors: q(z|x) of these images.
        draws: their number.
        generator: of the noise, on the device of x.
    """
    log_w, total = [], x.new_zeros(len(x), dtype=torch.float64)
    at_once = max(1, min(AT_ONCE, density.rows_at_once // len(x)))
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        noise = posteriors.mean.new_empty(count, *posteriors.mean.shape)
        noise.normal_(generator=generator)
        z = posteriors.z(noise)
        log_likelihood = density.log_likelihood(x, z)
        other = density.log_prior(z) - posteriors.log_density_of_noise(noise)
        log_w.append((log_likelihood + other).double())
        total += log_likelihood.double().sum(0)
    return Weights(torch.cat(log_w), total / draws)


def log_mean_exp(values: Tensor) -> Tensor:
    """The log of the mean of exp over the first dimension."""
    return values.logsumexp(0) - math.log(len(values))


def importance_bound(log_w: Tensor, draws: int) -> Tensor:
    """IWAE(k): log mean_k w, averaged over the blocks of k draws. Shape [N].

    Args:
        log_w: shape [draw, N].
        draws: k, at most the number of draws. A rest of fewer than k draws is left out.
    """
    whole = len(log_w) // draws * draws
    return log_mean_exp(log_w[:whole].unflatten(0, (-1, draws)).transpose(0, 1)).mean(0)


def pareto_shape(log_w: Tensor) -> Tensor:
    """k-hat: the shape of the generalised Pareto distribution of the largest weights, shape [N].

    The estimator is that of Zhang and Stephens (2009), as in Pareto smoothed importance sampling.
    Weights that are all equal have 0.

    Args:
        log_w: shape [draw, N], at least 25 draws.
    """
    draws = len(log_w)
    tail = math.ceil(min(draws / 5, 3 * math.sqrt(draws)))
    largest = (log_w - log_w.amax(0)).sort(0).values[-tail - 1 :].exp()
    y = (largest[1:] - largest[0]).T  # ascending exceedances, shape [N, tail]
    flat = y[:, -1] <= 0
    y = torch.where(flat[:, None], torch.ones_like(y), y)
    candidates = 30 + math.isqrt(tail)
    order = torch.arange(1, candidates + 1, dtype=y.dtype, device=y.device)
    quartile = y[:, int(tail / 4 + 0.5) - 1, None].clamp_min(torch.finfo(y.dtype).tiny)
    theta = 1 / y[:, -1:] + (1 - (candidates / (order - 0.5)).sqrt()) / (3 * quartile)
    shape = (-theta[:, :, None] * y[:, None]).log1p().mean(-1)
    profile = tail * ((-theta / shape).log() - shape - 1)
    chosen = (profile.softmax(-1) * theta).sum(-1, keepdim=True)
    k = (-chosen * y).log1p().mean(-1)
    k = (tail * k + PRIOR_WEIGHT * PRIOR_SHAPE) / (tail + PRIOR_WEIGHT)
    return torch.where(flat, torch.zeros_like(k), k)
