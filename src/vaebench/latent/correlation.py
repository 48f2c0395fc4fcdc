"""The correlations of q(z|x) beside those of the exact posteriors p(z|x), and their precisions.

For n <= 2 the exact posteriors' covariances are sums over the grid of `evidence/grid.py`. For more
dimensions there is no grid. A = S^-2 + E_q J'WJ, the Gauss-Newton information averaged over q, then
stands for the precision: it is exact for a linear decoder, and the matrix of the paper's Eqs. 12,
18 and 25.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vaebench.core.prior import FullPrior
from vaebench.equations.local import antithetic, averaged_curvature, model_of
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.grid import POINTS, converged_grid, grid_for, integrate

PAIRS = 8
"""Antithetic pairs of draws of q for the mean of J'WJ."""
Source = Literal["grid", "curvature"]


@dataclass(frozen=True)
class Exact:
    """The precisions of exact posteriors, or what stands for them."""

    precision: Tensor
    """In whitened coordinates, float64 of shape [N, latent, latent]."""
    source: Source


def exact_precisions(density: Density, levels: Tensor, random: torch.Generator) -> Exact:
    """The precisions of p(z|x) of some images.

    Raises:
        UserError: n > 2 and the network or the likelihood is not one whose curvature is known; or
            the grid does not converge.
    """
    x = density.data(levels)
    posteriors = density.encode(x)
    source: Source
    if density.latent_dim in POINTS:
        grid, _ = converged_grid(density, x, posteriors, grid_for(density, posteriors))
        precision, source = integrate(density, x, posteriors, grid).covariance.inverse(), "grid"
    else:
        model = model_of(density)
        noise = antithetic(PAIRS, posteriors.mean, random)
        precision, source = averaged_curvature(model, posteriors, noise), "curvature"
    # z = S u for whitened u, so that precisions of u are S' A S.
    prior = density.prior
    if isinstance(prior, FullPrior):
        lower = prior.cholesky[0].to(precision)
        return Exact(lower.T @ precision @ lower, source)
    std = prior.variance[0, 0].sqrt().to(precision)
    return Exact(std[:, None] * precision * std, source)


def mean_correlation(covariances: Tensor) -> float | None:
    """The mean |correlation| over images and pairs of dimensions; None for one dimension.

    Args:
        covariances: shape [N, latent, latent].
    """
    latent = covariances.shape[-1]
    if latent < 2:
        return None
    std = covariances.diagonal(dim1=-2, dim2=-1).sqrt()
    correlations = covariances / std[:, :, None] / std[:, None]
    i, j = torch.triu_indices(latent, latent, 1, device=covariances.device)
    return float(correlations[:, i, j].abs().mean())


def covariances(posteriors: Gaussians) -> Tensor:
    """Sigma of each image, shape [N, latent, latent]."""
    lower = posteriors.cholesky
    return lower @ lower.mT
