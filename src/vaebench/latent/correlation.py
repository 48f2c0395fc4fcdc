"""The correlations of q(z|x) beside those of the exact posteriors p(z|x), and their precisions.

For n <= 2 the exact posteriors' covariances are sums over the grid of `evidence/grid.py`. For more
dimensions there is no grid. A = S^-2 + E_q J'WJ, the Gauss-Newton information averaged over q, then
stands for the precision: it is exact for a linear decoder, and the matrix of the paper's Eqs. 12,
18 and 25.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vaebench.core.prior import FullPrior, Prior
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians, antithetic
from vaebench.evidence.grid import converged_grid, grid_for
from vaebench.evidence.local import averaged_curvature, model_of

PAIRS = 8
"""Antithetic pairs of draws of q for the mean of J'WJ."""


def curvature_precisions(density: Density, levels: Tensor, random: torch.Generator) -> Tensor:
    """A of some images in whitened coordinates, float64 of shape [N, latent, latent].

    Raises:
        UserError: the network or the likelihood is not one whose curvature is known.
    """
    model, posteriors = model_of(density), density.encode(density.data(levels))
    noise = antithetic(PAIRS, posteriors.mean, random)
    return _whitened(averaged_curvature(model, posteriors, noise), density.prior)


def grid_precisions(density: Density, levels: Tensor) -> Tensor:
    """The inverse covariances of p(z|x) for n <= 2. Arguments and result as above.

    Raises:
        UserError: there are more dimensions, or the grid does not converge.
    """
    x = density.data(levels)
    posteriors = density.encode(x)
    *_, found = converged_grid(density, x, posteriors, grid_for(density, posteriors))
    covariance = found.covariance.to(x.device)
    return _whitened(covariance.inverse(), density.prior)


def _whitened(precisions: Tensor, prior: Prior) -> Tensor:
    """S' A S, since z = S u for whitened u."""
    if isinstance(prior, FullPrior):
        lower = prior.cholesky[0].to(precisions)
        return lower.T @ precisions @ lower
    std = prior.variance[0, 0].sqrt().to(precisions)
    return std[:, None] * precisions * std


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
