"""The divergence of the aggregated posterior from the prior, from below and from above.

With q_N the aggregated posterior of the N training images (Hoffman and Johnson, 2016),

    rate = E_i KL(q(z|x_i) | p) = I_N + KL(q_N | p),    I_N <= log N.

That of the population, KL(q | p), lies between

- KL(q_N | p), which is larger in expectation over training sets since KL is convex, and
- E log q_N(z) - log p(z) for z of the posteriors of *test* images: KL(q | p) - KL(q | q_N).

The lower end is at once what the test set's evidence lower bound gains if p is replaced by q_N. As
I_N saturates at log N, the two are far apart, and N images do not say what KL(q | p) is.

All is in whitened coordinates, p = N(0, I), float64 and nats.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.posterior import LOG_TWO_PI
from vaebench.evidence.gaussians import Gaussians, standard_log_density
from vaebench.latent.codes import Codes
from vaebench.latent.mixture import Moments, log_density, sample


@dataclass(frozen=True)
class Mean:
    """A mean over images with its standard error; None for a single image."""

    value: float
    error: float | None

    @staticmethod
    def of(values: Tensor) -> Mean:
        """Of a number for each image, shape [N]."""
        many = len(values) > 1
        return Mean(
            float(values.mean()), float(values.std() / len(values) ** 0.5) if many else None
        )


@dataclass(frozen=True)
class Divergence:
    """The divergence of the aggregated posterior from the prior, in nats."""

    rate: float
    """E KL(q(z|x) | p) of the training images, in closed form."""
    information: Mean
    """I_N."""
    kl: Mean
    """KL(q_N | p): the upper end."""
    held_out: Mean
    """The lower end, and what replacing p by q_N adds to the test bound."""
    linear: float
    """KL(N(m, C) | p), in closed form: the mismatch of mean and covariance."""
    gaussian_gain: Mean
    """What replacing p by N(m, C) adds to the test bound, in closed form for each test image."""

    @property
    def shape(self) -> float:
        """KL(q_N | N(m, C)) = KL(q_N | p) - KL(N(m, C) | p)."""
        return self.kl.value - self.linear

    @property
    def width(self) -> float:
        """How far apart the two ends are."""
        return self.kl.value - self.held_out.value


def divergence(
    train: Codes, test: Codes, fitted: Moments, draws: int, random: torch.Generator
) -> tuple[Divergence, Tensor]:
    """The divergence of the aggregated posterior from N(0, I).

    Args:
        train: the posteriors of the training images, whitened.
        test: those of the test images.
        fitted: the moments of `train`.
        draws: codes of training images, and about as many of test images.
        random: draws them.

    Returns:
        It, and the codes of training images, shape [draws, latent].
    """
    own, chosen = _drawn(train, draws, random)
    other, tested = _drawn(test, draws, random)
    at_own, at_other = log_density(train, torch.cat([own, other])).split([len(own), len(other)])
    information = _own_log_density(train, chosen, own) - at_own
    found = Divergence(
        rate=mean_rate(train),
        information=Mean.of(by_image(information, chosen)),
        kl=Mean.of(by_image(at_own - standard_log_density(own), chosen)),
        held_out=Mean.of(by_image(at_other - standard_log_density(other), tested)),
        linear=gaussian_kl(fitted.mean, fitted.covariance),
        gaussian_gain=Mean.of(torch.cat([gaussian_gain(q, fitted) for q in test.blocks()])),
    )
    return found, own


def mean_rate(codes: Codes) -> float:
    """E KL(q(z|x) | N(0, I)), in nats."""
    total = 0.0
    for q in codes.blocks():
        trace = q.factor.square().flatten(1).sum(1)
        kl = 0.5 * (trace + q.mean.square().sum(1) - q.mean.shape[1]) - q.log_det()
        total += float(kl.sum())
    return total / codes.count


def gaussian_kl(mean: Tensor, covariance: Tensor) -> float:
    """KL(N(m, C) | N(0, I)), in nats."""
    log_det = torch.linalg.slogdet(covariance)[1]
    return 0.5 * float(covariance.trace() + mean.square().sum() - len(mean) - log_det)


def gaussian_gain(posteriors: Gaussians, fitted: Moments) -> Tensor:
    """E_q log N(z; m, C) - log N(z; 0, I) of each posterior, in closed form, shape [N]."""
    lower = torch.linalg.cholesky(fitted.covariance)
    solved = [
        torch.linalg.solve_triangular(lower, each, upper=False)
        for each in ((posteriors.mean - fitted.mean).unsqueeze(-1), posteriors.cholesky)
    ]
    under_fitted = sum(each.square().sum((1, 2)) for each in solved)
    under_prior = posteriors.mean.square().sum(1) + posteriors.factor.square().flatten(1).sum(1)
    found: Tensor = 0.5 * (under_prior - under_fitted) - lower.diagonal().log().sum()
    return found


def gaussian_log_density(z: Tensor, fitted: Moments) -> Tensor:
    """log N(z; m, C) in nats, shape [B], for z of shape [B, latent]."""
    lower = torch.linalg.cholesky(fitted.covariance)
    solved = torch.linalg.solve_triangular(lower, (z - fitted.mean).T, upper=False)
    latent = z.shape[1]
    square: Tensor = latent * LOG_TWO_PI + solved.square().sum(0)
    log_det: Tensor = lower.diagonal().log().sum()
    return -0.5 * square - log_det


def by_image(values: Tensor, images: Tensor) -> Tensor:
    """The mean of the draws of each image: draws of one image are not independent."""
    _, place, counts = images.unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(counts), dtype=values.dtype, device=values.device)
    means: Tensor = sums.index_add_(0, place, values) / counts
    return means


def _drawn(codes: Codes, draws: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Codes of images that are drawn without replacement, as often as needed, and their places.

    With more draws than images, each image has the same number of them.
    """
    first = next(codes.blocks()).mean
    count = codes.count
    if draws <= count:
        images = torch.randperm(count, generator=random, device=random.device)[:draws]
    else:
        images = torch.arange(count, device=random.device).repeat(-(-draws // count))
    noise = torch.empty(len(images), first.shape[1], dtype=first.dtype, device=random.device)
    noise.normal_(generator=random)
    images, noise = images.to(first.device), noise.to(first.device)
    return sample(codes, images, noise), images


def _own_log_density(codes: Codes, images: Tensor, z: Tensor) -> Tensor:
    """log q(z|x_i) of draws z of the posteriors of images i."""
    found, start = torch.empty_like(z[:, 0]), 0
    for part in codes.blocks():
        stop = start + len(part.mean)
        rows = ((images >= start) & (images < stop)).nonzero()[:, 0]
        at = images[rows] - start
        own = Gaussians(part.mean[at], part.factor[at])
        found[rows] = own.log_density_of_noise(own.noise(z[rows]))
        start = stop
    return found
