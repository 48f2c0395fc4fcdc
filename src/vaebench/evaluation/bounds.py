"""The evidence lower bound of a trained pack on a whole set of images.

elbo = -rate - distortion, in nats per example: the rate is the mean KL divergence of q(z|x) from
the prior, in closed form; the distortion is the mean of -log p(x|z) under one z an image, from a
stream of its own. Sums run in float64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vaebench.likelihoods import Likelihood
from vaebench.models.mlp import Network, Parameters
from vaebench.objectives import Objective, Posterior
from vaebench.streams import normal

IMAGES_AT_ONCE = 1000
ACTIVE_NATS = 0.01
"""A latent dimension is active if its mean KL divergence exceeds this: independent of scale."""


@dataclass(frozen=True)
class Evaluation:
    """A pack on a set of N images."""

    posterior: Posterior
    """Mean [run, N, latent]; std [run, N, latent] or [run, 1, 1]."""
    prior_variance: Tensor
    """S^2 on this set, float64 of shape [run, 1, latent]."""
    kl: Tensor
    """Mean KL divergence of each latent dimension, float64 of shape [run, latent]."""
    distortion: Tensor
    """float64 of shape [run]."""

    @property
    def rate(self) -> Tensor:
        """Shape [run]."""
        return self.kl.sum(-1)

    @property
    def elbo(self) -> Tensor:
        """With S^2 of this set, shape [run]."""
        return -self.rate - self.distortion

    @property
    def active_units(self) -> Tensor:
        """How many latent dimensions are active, shape [run]."""
        return (self.kl > ACTIVE_NATS).sum(-1)

    def elbo_with_prior(self, prior_variance: Tensor) -> Tensor:
        """With S^2 of another set, of shape [run, 1, latent]; shape [run]."""
        return -mean_kl(self.posterior, prior_variance).sum(-1) - self.distortion


@torch.no_grad()
def evaluate(
    network: Network,
    objective: Objective,
    likelihood: Likelihood,
    parameters: Parameters,
    seeds: Sequence[int],
    pixels: Tensor,
    which: Literal["train", "test"],
) -> Evaluation:
    """Evaluate a pack on `pixels` in [0, 1], float32 of shape [N, pixel]."""
    noise = normal(seeds, "evaluation", which, (len(pixels), network.latent_dim), pixels.device)
    means, stds = [], []
    distortion = torch.zeros(len(seeds), dtype=torch.float64, device="cpu")
    for block in _blocks(len(pixels)):
        x = network.scale(pixels[block].expand(len(seeds), -1, -1))
        posterior = network.encode(parameters, x)
        z = posterior.mean + posterior.std * noise[:, block]
        log_likelihood = likelihood.log_likelihood(x, network.decode(parameters, z))
        # Widened on the CPU: some GPUs have no float64.
        distortion -= log_likelihood.cpu().double().sum(-1)
        means.append(posterior.mean)
        stds.append(posterior.std)
    std = torch.cat(stds, 1) if network.learns_std else stds[0]
    whole = Posterior(torch.cat(means, 1).cpu(), std.cpu())
    prior_variance = prior(objective, whole)
    kl = mean_kl(whole, prior_variance)
    return Evaluation(whole, prior_variance, kl, distortion / len(pixels))


def prior(objective: Objective, posterior: Posterior) -> Tensor:
    """S^2, float64 of shape [run, 1, latent]: 1 or E[Sigma + diag(mu)^2] of Eq. 4."""
    if objective.prior == "standard":
        return torch.ones_like(posterior.mean[:, :1], dtype=torch.float64)
    mean, std = posterior.mean.double(), posterior.std.double()
    return (std.square() + mean.square()).mean(1, keepdim=True)


def mean_kl(posterior: Posterior, prior_variance: Tensor) -> Tensor:
    """The mean over examples of KL(q(z|x) | N(0, S^2)), a latent dimension each.

    Args:
        posterior: of N examples, on the CPU.
        prior_variance: S^2, float64 of shape [run, 1, latent].

    Returns:
        float64 of shape [run, latent], in nats.
    """
    mean, variance = posterior.mean.double(), posterior.std.double().square()
    ratio = variance / prior_variance
    kl = 0.5 * (ratio - 1 - ratio.log() + mean.square() / prior_variance)
    return kl.mean(1)


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, IMAGES_AT_ONCE):
        yield slice(start, min(start + IMAGES_AT_ONCE, count))
