"""log p(x) of images, or log p(y|x), by draws of the encoder and by draws of the prior.

Both are lower bounds in expectation that rise with the number of draws K, so only values of one K
are comparable. Draws of the prior need the decoder alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.importance import (
    AT_ONCE,
    importance_weights,
    log_mean_exp,
    pareto_shape,
)


@dataclass(frozen=True)
class Likelihoods:
    """Of N images, float64 of shape [N], in nats of scaled data."""

    by_encoder: Tensor
    """log of the mean weight p(x, z)/q(z|x), z ~ q: importance sampling."""
    by_prior: Tensor
    """log of the mean of p(x|z), z ~ p: Monte Carlo."""
    shape_of_encoder: Tensor
    """k-hat of the weights."""
    shape_of_prior: Tensor


def likelihoods(
    density: Density, x: Tensor, q: Gaussians, draws: int, generator: torch.Generator
) -> Likelihoods:
    """Estimate with K draws of each kind.

    Args:
        density: of the run.
        x: scaled data, shape [N, pixel].
        q: q(z|x) of these images.
        draws: K, at least 25.
        generator: of the noise, on the device of x.
    """
    by_encoder = importance_weights(density, x, q, draws, generator).log_w
    by_prior = prior_weights(density, x, draws, generator)
    return Likelihoods(
        *(log_mean_exp(by_encoder), log_mean_exp(by_prior)),
        *(pareto_shape(by_encoder), pareto_shape(by_prior)),
    )


@torch.no_grad()
def prior_weights(density: Density, x: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """log p(x|z) for z ~ p(z), other draws for each image, float64 of shape [draw, N]."""
    found = []
    at_once = max(1, min(AT_ONCE, density.rows_at_once // len(x)))
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        noise = x.new_empty(count * len(x), density.latent_dim).normal_(generator=generator)
        z = density.prior_sample(noise).unflatten(0, (count, len(x)))
        found.append(density.log_likelihood(x, z).double())
    return torch.cat(found)
