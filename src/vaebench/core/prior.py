"""Priors p(z) = N(0, S^2) with a diagonal or a full S^2, and the KL divergence from them.

Shapes as in `core/posterior.py`: with several draws of z, tensors have a dimension of size 1 for
them at place 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.posterior import LOG_TWO_PI, DiagonalPosterior, FullPosterior, Posterior


class Prior(ABC):
    """N(0, S^2)."""

    @property
    @abstractmethod
    def variance(self) -> Tensor:
        """The diagonal of S^2, shape [run, 1, latent]."""

    @abstractmethod
    def sample(self, noise: Tensor) -> Tensor:
        """Draws of z, of the shape of the standard normal `noise`, [run, N, latent]."""

    @abstractmethod
    def log_det(self) -> Tensor:
        """1/2 log det S^2, shape [run, 1]."""

    @abstractmethod
    def squared_norm(self, vectors: Tensor) -> Tensor:
        """v' S^-2 v for vectors v of shape [run, N, latent]. Shape [run, N]."""

    @abstractmethod
    def precision_diagonal(self) -> Tensor:
        """The diagonal of S^-2, shape [run, 1, latent]."""

    def log_density(self, z: Tensor) -> Tensor:
        """log p(z) in nats, without the last dimension of z."""
        return -0.5 * (z.shape[-1] * LOG_TWO_PI + self.squared_norm(z)) - self.log_det()

    def kl(self, posterior: Posterior) -> Tensor:
        """KL(q(z|x) | p(z)) of each example in nats, shape [run, batch]."""
        trace: Tensor
        if isinstance(posterior, FullPosterior):
            # tr S^-2 L L' is the sum over the columns of L.
            columns = posterior.cholesky.mT
            trace = self.squared_norm(columns.flatten(-3, -2)).unflatten(-1, columns.shape[-3:-1])
            trace = trace.sum(-1)
        else:
            trace = (posterior.std.square() * self.precision_diagonal()).sum(-1)
        square = self.squared_norm(posterior.mean)
        latent = posterior.mean.shape[-1]
        found: Tensor = 0.5 * (trace + square - latent) + self.log_det() - posterior.log_det()
        return found


@dataclass(frozen=True)
class DiagonalPrior(Prior):
    """With a diagonal S^2."""

    square: Tensor
    """S^2, shape [run, 1, latent]."""

    @property
    def variance(self) -> Tensor:
        """See `Prior`."""
        return self.square

    def sample(self, noise: Tensor) -> Tensor:
        """See `Prior`."""
        return noise * self.square.sqrt().float().to(noise.device)

    def log_det(self) -> Tensor:
        """See `Prior`."""
        return 0.5 * self.square.log().sum(-1)

    def squared_norm(self, vectors: Tensor) -> Tensor:
        """See `Prior`."""
        return (vectors.square() / self.square).sum(-1)

    def precision_diagonal(self) -> Tensor:
        """See `Prior`."""
        return 1 / self.square


@dataclass(frozen=True)
class FullPrior(Prior):
    """With a full S^2 = C C'."""

    cholesky: Tensor
    """C, shape [run, latent, latent]."""

    @property
    def variance(self) -> Tensor:
        """See `Prior`."""
        return self.cholesky.square().sum(-1).unsqueeze(-2)

    def sample(self, noise: Tensor) -> Tensor:
        """See `Prior`."""
        return noise @ self.cholesky.float().to(noise.device).mT

    def log_det(self) -> Tensor:
        """See `Prior`."""
        return self.cholesky.diagonal(dim1=-2, dim2=-1).log().sum(-1, keepdim=True)

    def squared_norm(self, vectors: Tensor) -> Tensor:
        """See `Prior`."""
        whitened: Tensor = torch.linalg.solve_triangular(self.cholesky, vectors.mT, upper=False)
        return whitened.square().sum(-2)

    def precision_diagonal(self) -> Tensor:
        """See `Prior`."""
        identity = torch.eye(self.cholesky.shape[-1]).to(self.cholesky)
        inverse: Tensor = torch.linalg.solve_triangular(self.cholesky, identity, upper=False)
        return inverse.square().sum(-2).unsqueeze(-2)


def batch_prior(name: str, posterior: Posterior) -> Prior:
    """The prior of a batch, differentiable with respect to the posterior.

    Args:
        name: a name in `families.PRIORS`.
        posterior: q(z|x) of the batch.
    """
    if name == "standard":
        return DiagonalPrior(torch.ones_like(posterior.mean[..., :1, :]))
    if name == "floating":
        return DiagonalPrior(posterior.second_moment())
    return full_prior(posterior.second_moments() / posterior.mean.shape[-2])


def full_prior(second_moments: Tensor) -> FullPrior:
    """The prior with S^2 = E[Sigma + mu mu'], shape [run, latent, latent]."""
    return FullPrior(cholesky(second_moments))


def cholesky(matrices: Tensor) -> Tensor:
    """The Cholesky factors of some matrices, NaN for those that are not positive definite.

    A run that has diverged must not end the training of the others.
    """
    factors, failed = torch.linalg.cholesky_ex(matrices)
    return torch.where(failed[..., None, None] == 0, factors, torch.nan)


def kl_by_dimension(posterior: DiagonalPosterior, prior_variance: Tensor) -> Tensor:
    """The KL divergence of each latent dimension from N(0, S^2), in nats, shape of the mean.

    Args:
        posterior: q(z|x) of a batch.
        prior_variance: a diagonal S^2, shape [run, 1, latent].
    """
    ratio = posterior.std.square() / prior_variance
    return 0.5 * (ratio - 1 - ratio.log() + posterior.mean.square() / prior_variance)
