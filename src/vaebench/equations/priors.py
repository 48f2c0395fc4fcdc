"""Eqs. 4, 23, 24 and 28 to 30: the prior of a set, and objectives that have it in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.posterior import DiagonalPosterior
from vaebench.core.prior import DiagonalPrior, FullPrior, Prior
from vaebench.evidence.gaussians import Gaussians, log_det

ACTIVE_NATS = 0.01


@dataclass(frozen=True)
class Fitted:
    """The second moments of a set's posteriors, float64."""

    second: Tensor
    """E[Sigma + mu mu'], shape [latent, latent]."""

    @property
    def variances(self) -> Tensor:
        """The diagonal, Eq. 4."""
        return self.second.diagonal()

    def ratio(self, prior: Prior) -> Tensor:
        """E[Sigma_jj + mu_j^2] / S_j^2, shape [latent]: 1 by Eq. 4."""
        return self.variances / prior.variance[0, 0].to(self.second)

    def gain(self, prior: Prior) -> float:
        """What the bound gains if S^2 is replaced by that of Eq. 4, in nats per image."""
        if isinstance(prior, FullPrior):
            return 0.0
        ratio = self.ratio(prior)
        return 0.5 * float((ratio - 1 - ratio.log()).sum())

    @property
    def full_gain(self) -> float:
        """1/2 (sum log M_jj - log det M): what a full S^2 would gain beyond a diagonal one."""
        return 0.5 * float(self.variances.log().sum() - log_det(self.second))


def fit(posteriors: Gaussians) -> Fitted:
    """The moments of a set's posteriors."""
    mean, factor = posteriors.mean.double(), posteriors.factor.double()
    second = mean.T @ mean / len(mean)
    if posteriors.is_full:
        return Fitted(second + (factor @ factor.mT).mean(0))
    return Fitted(second + factor.square().mean(0).diag())


def active(posteriors: Gaussians, prior: Prior) -> Tensor:
    """Which dimensions cost more than 0.01 nats on average, boolean of shape [latent]."""
    mean, std = posteriors.mean.double(), posteriors.std.double()
    square = prior.variance[0, 0].to(mean)
    ratio = std.square() / square
    kl = 0.5 * (ratio - 1 - ratio.log() + mean.square() / square).mean(0)
    return kl > ACTIVE_NATS


def constant_std(posteriors: Gaussians) -> Tensor | None:
    """The standard deviations [latent] if they are the same for all images; else None."""
    if posteriors.is_full or not bool((posteriors.factor == posteriors.factor[:1]).all()):
        return None
    return posteriors.factor[0].double()


def rate_of_2(posteriors: Gaussians, second: Tensor, full: bool) -> float:
    """The rate of Eq. 2 under the prior S^2 of Eq. 4: E KL(q(z|x) | p(z)) in nats.

    Args:
        posteriors: of a set.
        second: E[Sigma + mu mu'] of it.
        full: whether S^2 is all of it, or its diagonal.
    """
    prior: Prior
    if full:
        prior = FullPrior(torch.linalg.cholesky(second)[None])
        one = DiagonalPosterior(posteriors.mean.double()[None], posteriors.factor.double()[None])
        return float(prior.kl(one).mean())
    prior = DiagonalPrior(second.diagonal()[None, None])
    return float(posteriors.changed(Tensor.double).kl(prior).mean())


def rate_of_23(posteriors: Gaussians, std: Tensor) -> float:
    """1/2 log|I + Sigma^-1 E mu mu'|, Eq. 23."""
    scaled = posteriors.mean.double() / std
    moment = scaled.T @ scaled / len(scaled)
    return 0.5 * float(log_det(moment + torch.eye(len(std)).to(moment)))


def rate_of_24(posteriors: Gaussians, std: Tensor) -> float:
    """1/2 log|I + Sigma^-1 M_B| with M_B = E diag(mu)^2, Eq. 24."""
    return 0.5 * float((posteriors.mean.double() / std).square().mean(0).log1p().sum())


def batch_bias(posteriors: Gaussians, std: Tensor, size: int) -> float:
    """Eq. 24's rate on the whole set minus its mean over batches: how much batches flatter."""
    whole = len(posteriors.mean) // size * size
    batches = [
        rate_of_24(posteriors.rows(slice(start, start + size)), std)
        for start in range(0, whole, size)
    ]
    return rate_of_24(posteriors, std) - sum(batches) / len(batches)


def information(posteriors: Gaussians, std: Tensor) -> float:
    """u = tr Sigma^-1 S^2 = tr(I + Sigma^-1 M_B), Eq. 28."""
    return len(std) + float((posteriors.mean.double() / std).square().mean(0).sum())


def best_information(n: int, pixels: int, tau: float, units: int | None = None) -> float:
    """u* that BAGGINS would have at fixed residuals, if all active dimensions had one M.

    With all n active dimensions it is max(n, tau (m - n)). With k of them it solves
    k / (k + u - n) + 1 / tau = m / u.
    """
    k = n if units is None else units
    if k == 0:
        return float(n)
    low, high = float(n), tau * pixels + n
    if k / (k + low - n) + 1 / tau >= pixels / low:
        return low
    for _ in range(200):
        middle = (low + high) / 2
        if k / (k + middle - n) + 1 / tau < pixels / middle:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def bilbo_with_29(
    posteriors: Gaussians, std: Tensor, squared: Tensor, pixels: int, tau: float
) -> tuple[float, float]:
    """Eq. 24 with the T of Eq. 29, and Eq. 30: they are one number.

    Args:
        posteriors: of a batch.
        std: their standard deviations, shape [latent].
        squared: |x - nu(z)|^2, shape [N].
        pixels: m.
        tau: the information factor.
    """
    u, rate = information(posteriors, std), rate_of_24(posteriors, std)
    variance = tau * squared.double() / u
    log_t = pixels * (2 * torch.pi * variance).log()
    of_24 = -rate - 0.5 * float((log_t + squared.double() / variance).mean())
    return of_24, -rate - 0.5 * (u / tau + float(log_t.mean()))
