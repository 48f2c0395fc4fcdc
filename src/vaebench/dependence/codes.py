"""How much the encoder's means and standard deviations depend on x, and what that is worth.

The worth is measured on the same decoder and the same images: one of mu(x) and sigma(x) is replaced
by one value for all images, and the bound is computed again with the same noise.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.posterior import DiagonalPosterior
from vaebench.core.prior import kl_by_dimension
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians

ACTIVE_NATS = 0.01
"""A latent dimension is active if its mean divergence from the prior exceeds this."""
PAIRS = 10
"""The number of pairs of noise e and -e that each bound is averaged over."""


@dataclass(frozen=True)
class Spread:
    """Variances over images in each active dimension, float64 of shape [active]."""

    of_mean: Tensor
    """Var mu_j."""
    mean_variance: Tensor
    """E sigma_j^2."""
    of_log_std: Tensor
    """Var log sigma_j."""

    @property
    def share_of_mean(self) -> Tensor:
        """The share of the variance of the aggregated posterior that is in the means."""
        return self.of_mean / (self.of_mean + self.mean_variance)


def active(density: Density, q: Gaussians) -> Tensor:
    """Which latent dimensions are active, bool of shape [latent]."""
    marginals = DiagonalPosterior(q.mean.double()[None], q.std.double()[None])
    prior_variance = density.prior.variance.to(marginals.mean)
    return kl_by_dimension(marginals, prior_variance).mean((0, 1)) > ACTIVE_NATS


def spread(q: Gaussians, dimensions: Tensor) -> Spread:
    """How much the marginals of q(z|x) vary over images.

    Args:
        q: of N images.
        dimensions: which, bool of shape [latent].
    """
    mean, std = q.mean.double()[:, dimensions], q.std.double()[:, dimensions]
    return Spread(
        of_mean=mean.var(0, correction=0),
        mean_variance=std.square().mean(0),
        of_log_std=std.log().var(0, correction=0),
    )


def replaced(q: Gaussians) -> dict[str, Gaussians]:
    """q(z|x) with one part replaced by its mean over images. Only of diagonal q.

    Returns:
        `mean`: the mean of mu. `std`: the mean of sigma. `precision`: of 1/sigma^2, which is the
        best constant Sigma where the precision of q is that of p(z|x) (Eqs. 12 and 22).
    """
    std = q.factor
    mean_std = std.double().mean(0).to(std).expand_as(std)
    of_precision = std.double().pow(-2).mean(0).rsqrt().to(std).expand_as(std)
    mean = q.mean.double().mean(0).to(q.mean).expand_as(q.mean)
    return {
        "mean": Gaussians(mean, std),
        "std": Gaussians(q.mean, mean_std),
        "precision": Gaussians(q.mean, of_precision),
    }


@torch.no_grad()
def bounds(
    density: Density, x: Tensor, of: dict[str, Gaussians], generator: torch.Generator
) -> dict[str, Tensor]:
    """The evidence lower bound of each image with each of these q, all with the same noise.

    Args:
        density: of the run.
        x: scaled data, shape [N, pixel].
        of: q(z|x) of these images, by name.
        generator: of the noise, on the device of x.

    Returns:
        By name, float64 of shape [N], in nats of scaled data.
    """
    totals = {name: -q.kl(density.prior) for name, q in of.items()}
    for _ in range(PAIRS):
        half = torch.empty_like(x[:, :1].expand(-1, density.latent_dim))
        half = half.contiguous().normal_(generator=generator)
        for name, q in of.items():
            for noise in (half, -half):
                value = density.log_likelihood(x, q.z(noise)[None])[0]
                totals[name] = totals[name] + value.double() / (2 * PAIRS)
    return totals
