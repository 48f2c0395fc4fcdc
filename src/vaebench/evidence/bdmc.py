"""Bidirectional Monte Carlo (Grosse et al., 2015): the error of annealing, on simulated images.

For an image x that is drawn from the model with its z, z is an exact draw of p(z|x). Chains that
start there and anneal backwards give an upper bound on log p(x), so the evidence lies between both
bounds. Images are 0/1 under a Bernoulli likelihood. They are not those that the encoder was trained
on, so the bracket is the error bar of T and C on simulated images.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.evidence.ais import Target, forward, pilot, reverse, temperatures
from vaebench.evidence.density import Density
from vaebench.evidence.importance import log_mean_exp
from vaebench.numerics.streams import generator as stream


@dataclass(frozen=True)
class Bracket:
    """Bounds of N simulated images in nats, float64 on the CPU, shape [N]."""

    lower: Tensor
    upper: Tensor


def bracket(
    density: Density, images: int, count: int, chains: int, seed: int, name: str
) -> Bracket:
    """Bound the evidence of simulated images from both sides.

    Args:
        density: of the run.
        images: N.
        count: T, the number of temperatures.
        chains: C, the number of chains of each image.
        seed: of the random numbers.
        name: names the random streams of the block.

    Raises:
        ValueError: the likelihood has no sampler, see `Density.sample`.
    """

    def random(what: str) -> torch.Generator:
        return stream(seed, "samples", f"bdmc {what} {name}", density.device)

    noise = torch.empty(images, density.latent_dim, dtype=density.dtype, device=density.device)
    noise.normal_(generator=random("z"))
    z = density.prior_sample(noise)
    x = density.sample(z, random("x"))
    target, betas = Target(density, x, density.encode(x)), temperatures(count)
    steps = pilot(target, betas, random("pilot"))
    lower, _ = forward(target, betas, steps, chains, random("forward"))
    upper = reverse(target, betas, steps, z, chains, random("reverse"))
    return Bracket(log_mean_exp(lower).cpu(), -log_mean_exp(upper).cpu())
