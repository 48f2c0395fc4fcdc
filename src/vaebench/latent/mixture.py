"""The aggregated posterior q_N(z) = 1/N sum_i q(z|x_i) of N images, as the mixture that it is.

log q(z|x_i) is linear in the products z_j z_k and in z, so that all pairs of codes and images take
one product of matrices. No pair is left out and nothing is estimated: the sum over 60,000 images
is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.posterior import LOG_TWO_PI
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians
from vaebench.latent.codes import Codes, codes_of, unwhitened

CODES_AT_ONCE = 2048
NEAR = 9.0
"""On a grid, posteriors farther from a tile than so many standard deviations are left out. The
density of each is there less than exp(-40) of its largest."""


@dataclass(frozen=True)
class Moments:
    """Exact moments of a mixture of Gaussians."""

    mean: Tensor
    """m, shape [latent]."""
    covariance: Tensor
    """C, shape [latent, latent]."""
    of_means: Tensor
    """The variances of the means alone, shape [latent]."""
    kurtosis: Tensor
    """The excess kurtosis of each dimension, shape [latent]: 0 for a Gaussian."""
    kl: Tensor
    """The mean KL divergence of each dimension's marginals from N(0, 1), in nats."""

    @property
    def variance(self) -> Tensor:
        """Of each dimension."""
        return self.covariance.diagonal()


def moments(codes: Codes) -> Moments:
    """The moments of q_N: of its means and of the posteriors about them."""
    count = codes.count
    mean = sum(part.mean.sum(0) for part in codes.blocks()) / count
    assert isinstance(mean, Tensor)
    latent = len(mean)
    covariance, of_means = mean.new_zeros(latent, latent), mean.new_zeros(latent)
    fourth, kl = torch.zeros_like(of_means), torch.zeros_like(of_means)
    for part in codes.blocks():
        off, variance = part.mean - mean, part.std.square()
        within = (
            torch.einsum("nij,nkj->ik", part.factor, part.factor)
            if part.is_full
            else variance.sum(0).diag()
        )
        covariance += off.T @ off + within
        of_means += off.square().sum(0)
        fourth += (off**4 + 6 * off.square() * variance + 3 * variance.square()).sum(0)
        kl += 0.5 * (variance + part.mean.square() - 1 - variance.log()).sum(0)
    covariance /= count
    kurtosis = fourth / count / covariance.diagonal().square() - 3
    return Moments(mean, covariance, of_means / count, kurtosis, kl / count)


def fitted_gaussian(density: Density, levels: Tensor) -> tuple[Tensor, Tensor]:
    """m and an L with C = L L' of the aggregated posterior, for codes as they are.

    Args:
        density: of the run.
        levels: images, shape [N, pixel].

    Returns:
        Float64 on the CPU, shapes [latent] and [latent, latent].
    """
    fitted = moments(codes_of(density, levels))
    lower = torch.linalg.cholesky(fitted.covariance)
    turned = unwhitened(lower.T, density.prior).T
    return unwhitened(fitted.mean, density.prior).cpu(), turned.cpu()


@torch.no_grad()
def log_density(codes: Codes, z: Tensor) -> Tensor:
    """log q_N(z) in nats, float64 of shape [B].

    Args:
        codes: the posteriors of the N images.
        z: float64, shape [B, latent].
    """
    top = torch.full_like(z[:, 0], -math.inf)
    total = torch.zeros_like(top)
    for part in codes.blocks():
        linear = _Linear.of(part)
        for rows in torch.arange(len(z), device=z.device).split(CODES_AT_ONCE):
            values = linear.log_densities(z[rows])
            highest = torch.maximum(top[rows], values.amax(1))
            kept = (top[rows] - highest).exp_()
            total[rows] = total[rows] * kept + values.sub_(highest[:, None]).exp_().sum(1)
            top[rows] = highest
    return top + total.log() - math.log(codes.count)


@torch.no_grad()
def log_density_on_tile(posteriors: Gaussians, tile: Tensor) -> Tensor:
    """log q_N at neighbouring codes, from the posteriors near them alone; -inf if there are none.

    Args:
        posteriors: of all N images.
        tile: float64, shape [B, latent].
    """
    low, high = tile.amin(0), tile.amax(0)
    apart = torch.maximum(low - posteriors.mean, posteriors.mean - high).clamp(min=0)
    near = (apart < NEAR * posteriors.std).all(1).nonzero()[:, 0]
    if not len(near):
        return torch.full_like(tile[:, 0], -math.inf)
    found = log_density(Codes.of(posteriors.changed(lambda tensor: tensor[near])), tile)
    return found + math.log(len(near) / len(posteriors.mean))


def sample(codes: Codes, images: Tensor, noise: Tensor) -> Tensor:
    """A draw of the posterior of each of some images, shape [B, latent].

    Args:
        codes: the posteriors of N images.
        images: their places, shape [B]; one may come several times.
        noise: standard normal, shape [B, latent].
    """
    z, start = torch.empty_like(noise), 0
    for part in codes.blocks():
        stop = start + len(part.mean)
        rows = ((images >= start) & (images < stop)).nonzero()[:, 0]
        chosen = images[rows] - start
        z[rows] = Gaussians(part.mean[chosen], part.factor[chosen]).z(noise[rows])
        start = stop
    return z


@dataclass(frozen=True)
class _Linear:
    """log q(z|x_i) as a product of features of z with weights of i."""

    weights: Tensor
    """Shape [feature, N]."""
    offset: Tensor
    """Shape [N]."""
    centre: Tensor
    """Subtracted from z, so that squares cancel to as few digits as possible."""
    is_full: bool

    @staticmethod
    def of(part: Gaussians) -> _Linear:
        centre = part.mean.mean(0)
        mean, latent = part.mean - centre, part.mean.shape[1]
        if part.is_full:
            precision = torch.cholesky_inverse(part.factor)
            i, j = torch.triu_indices(latent, latent, device=mean.device)
            # z_i z_j and z_j z_i are one feature.
            square = precision[:, i, j] * torch.where(i == j, -0.5, -1.0)
            slope = (precision @ mean.unsqueeze(-1)).squeeze(-1)
        else:
            precision = part.factor.square().reciprocal()
            square, slope = -0.5 * precision, precision * mean
        offset = -0.5 * (latent * LOG_TWO_PI + (slope * mean).sum(1)) - part.log_det()
        return _Linear(torch.cat([square, slope], 1).T, offset, centre, part.is_full)

    def log_densities(self, z: Tensor) -> Tensor:
        """Shape [B, N]."""
        near = z - self.centre
        if self.is_full:
            i, j = torch.triu_indices(z.shape[1], z.shape[1], device=z.device)
            products = near[:, i] * near[:, j]
        else:
            products = near.square()
        return torch.addmm(self.offset, torch.cat([products, near], 1), self.weights)
