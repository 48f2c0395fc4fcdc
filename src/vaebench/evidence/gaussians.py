"""Gaussians q(z|x) of N images, without the dimension for runs that `core/posterior.py` has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.posterior import LOG_TWO_PI, DiagonalPosterior, FullPosterior, Posterior
from vaebench.core.prior import Prior


@dataclass(frozen=True)
class Gaussians:
    """N(mean, Sigma) of each image. Draws of z have the shape [..., N, latent]."""

    mean: Tensor
    """Shape [N, latent]."""
    factor: Tensor
    """The standard deviations, shape [N, latent]; or L with Sigma = L L', [N, latent, latent]."""

    @property
    def is_full(self) -> bool:
        """Whether `factor` is a Cholesky factor L."""
        return self.factor.ndim == 3

    @property
    def std(self) -> Tensor:
        """The marginal standard deviations, shape [N, latent]."""
        return self.factor.square().sum(-1).sqrt() if self.is_full else self.factor

    @property
    def cholesky(self) -> Tensor:
        """L, shape [N, latent, latent], also where Sigma is diagonal."""
        return self.factor if self.is_full else torch.diag_embed(self.factor)

    def z(self, noise: Tensor) -> Tensor:
        """The z = mean + L e of noise e."""
        return self.mean + self.scaled(noise)

    def scaled(self, noise: Tensor) -> Tensor:
        """L e."""
        if self.is_full:
            return (self.factor @ noise.unsqueeze(-1)).squeeze(-1)
        return self.factor * noise

    def noise(self, z: Tensor) -> Tensor:
        """The e = L^-1 (z - mean) of z."""
        deviation = z - self.mean
        if not self.is_full:
            return deviation / self.factor
        factor = self.factor.expand(*z.shape, z.shape[-1])
        solved: Tensor = torch.linalg.solve_triangular(factor, deviation.unsqueeze(-1), upper=False)
        return solved.squeeze(-1)

    def gradient_by_noise(self, gradient: Tensor) -> Tensor:
        """L' g: the gradient by e, from the gradient g by z."""
        if self.is_full:
            return (self.factor.mT @ gradient.unsqueeze(-1)).squeeze(-1)
        return self.factor * gradient

    def log_det(self) -> Tensor:
        """1/2 log det Sigma, shape [N]."""
        scales = self.factor.diagonal(dim1=-2, dim2=-1) if self.is_full else self.factor
        return scales.log().sum(-1)

    def log_density_of_noise(self, noise: Tensor) -> Tensor:
        """log q(z|x) in nats at z = mean + L e, without the last dimension of e."""
        return standard_log_density(noise) - self.log_det()

    def kl(self, prior: Prior) -> Tensor:
        """KL(q(z|x) | p(z)) in nats, float64 of shape [N].

        Args:
            prior: of one run.
        """
        one = self.changed(lambda tensor: tensor.double()[None])
        kind = FullPosterior if self.is_full else DiagonalPosterior
        posterior: Posterior = kind(one.mean, one.factor)
        return prior.kl(posterior)[0]

    def changed(self, change: Callable[[Tensor], Tensor]) -> Gaussians:
        """With each tensor changed, such as to another device."""
        return Gaussians(change(self.mean), change(self.factor))

    def rows(self, rows: slice) -> Gaussians:
        """Those of some images."""
        return self.changed(lambda tensor: tensor[rows])


def standard_log_density(noise: Tensor) -> Tensor:
    """log N(e; 0, I) in nats, without the last dimension of e."""
    return -0.5 * (noise.shape[-1] * LOG_TWO_PI + noise.square().sum(-1))


def antithetic(
    pairs: int, like: Tensor, generator: torch.Generator, dtype: torch.dtype | None = None
) -> Tensor:
    """Noise e and -e, shape [2 pairs, *like.shape]; the second half is minus the first."""
    half = torch.empty(pairs, *like.shape, dtype=dtype or like.dtype, device=like.device)
    half.normal_(generator=generator)
    return torch.cat([half, -half])


def log_det(matrices: Tensor) -> Tensor:
    """log det of positive definite matrices; NaN for others."""
    factors, failed = torch.linalg.cholesky_ex(matrices)
    found = 2 * factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return torch.where(failed == 0, found, torch.nan)
