"""Annealed importance sampling (Neal, 2001) of log p(x), from the encoder's q(z|x).

Chains live in the coordinates e = L^-1 (z - mu) of q. They start at e ~ N(0, I), exactly q, and go
through T densities

    log f_b(e) = (1 - b) log N(e; 0, I) + b [log p(x|z) + log p(z) + log det L],  b from 0 to 1,

where b follows a sigmoid. In each step a chain's log weight grows by (b_t - b_t-1) (log f_1 -
log f_0)(e), before one Hamiltonian move that leaves f_bt invariant. The log of the mean weight of C
chains is in expectation a lower bound on log p(x), whatever T and C. T = 1 are the importance
weights of q.

Step sizes are adapted in a pilot of other chains, and frozen in the run that counts, since adapting
while weighting would break the bound.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians, standard_log_density
from vaebench.evidence.importance import log_mean_exp
from vaebench.numerics.streams import generator as stream

STEEPNESS = 4.0
"""The sigmoid of the temperatures goes from logit -4 to 4."""
LEAPFROGS = 5
PILOT_CHAINS = 2
ACCEPTANCE = 0.65
"""The share of accepted moves that step sizes are adapted to."""
GROWTH, SHRINKAGE = 1.02, 0.98
COARSER = 4
"""The result is compared with that of T / 4 temperatures."""


@dataclass(frozen=True)
class Annealed:
    """The estimates of N images, float64 on the CPU, each of shape [N]."""

    log_p: Tensor
    """The estimate of log p(x) in nats of scaled data."""
    effective: Tensor
    """The effective number of the C chains, (sum w)^2 / sum w^2."""
    acceptance: Tensor
    """The share of accepted moves; NaN if there are none."""
    coarse_log_p: Tensor | None
    """The estimate with T / 4 temperatures. None if T < 4."""


class _Place(NamedTuple):
    """Where chains are."""

    e: Tensor
    """Shape [C, N, latent]."""
    joint: Tensor
    """log f_1, shape [C, N]."""
    gradient: Tensor
    """That of log f_1, shape [C, N, latent]."""


@dataclass(frozen=True)
class Target:
    """The images of a block, with their q(z|x)."""

    density: Density
    x: Tensor
    posteriors: Gaussians

    def at(self, e: Tensor) -> _Place:
        """log f_1 and its gradient at e."""
        value, gradient = self.density.log_joint_gradient(self.x, self.posteriors.z(e))
        value = value + self.posteriors.log_det()
        return _Place(e, value, self.posteriors.gradient_by_noise(gradient))


def temperatures(count: int) -> Tensor:
    """b_0 = 0 to b_T = 1, float64 of shape [T + 1]."""
    steps = torch.linspace(-STEEPNESS, STEEPNESS, count + 1, dtype=torch.float64).sigmoid()
    return (steps - steps[0]) / (steps[-1] - steps[0])


def annealed(
    density: Density,
    x: Tensor,
    posteriors: Gaussians,
    count: int,
    chains: int,
    seed: int,
    name: str,
) -> Annealed:
    """Estimate log p(x) of a block of images. All images and chains are computed together.

    Args:
        density: of the run.
        x: scaled data, shape [N, pixel].
        posteriors: q(z|x) of these images.
        count: T, the number of temperatures.
        chains: C, the number of chains of each image.
        seed: of the random numbers.
        name: names the random streams of the block.
    """
    target, betas = Target(density, x, posteriors), temperatures(count)
    steps = pilot(target, betas, stream(seed, "samples", f"ais pilot {name}", x.device))
    log_w, acceptance = forward(
        target, betas, steps, chains, stream(seed, "samples", f"ais {name}", x.device)
    )
    coarse = None
    if count >= COARSER:
        few = temperatures(count // COARSER)
        # The step sizes of the temperatures that are nearest.
        nearest = (betas[1:, None] - few[None, 1:]).abs().argmin(0).to(steps.device)
        random = stream(seed, "samples", f"ais coarse {name}", x.device)
        coarse = log_mean_exp(forward(target, few, steps[nearest], chains, random)[0]).cpu()
    share = (log_w - log_w.logsumexp(0)).exp()
    return Annealed(
        log_mean_exp(log_w).cpu(), 1 / share.square().sum(0).cpu(), acceptance.cpu(), coarse
    )


def pilot(target: Target, betas: Tensor, generator: torch.Generator) -> Tensor:
    """Step sizes for each temperature after the first, adapted to the acceptance: [T, N]."""
    latent = target.density.latent_dim
    step = target.x.new_full((len(target.x),), latent**-0.25)
    place = target.at(_normal(target, PILOT_CHAINS, generator))
    steps = []
    for beta in betas[1:].tolist():
        steps.append(step)
        place, accepted = move(target, place, beta, step, generator)
        step = step * torch.where(accepted.mean(0) > ACCEPTANCE, GROWTH, SHRINKAGE)
    return torch.stack(steps)


def forward(
    target: Target, betas: Tensor, steps: Tensor, chains: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Chains from q(z|x) to p(z|x).

    Args:
        target: the images.
        betas: b_0 = 0 to b_T = 1.
        steps: the step sizes at b_1 to b_T, shape [T, N].
        chains: C.
        generator: of all noise.

    Returns:
        The log weights, float64 of shape [C, N], and the share of accepted moves, shape [N].
    """
    place = target.at(_normal(target, chains, generator))
    log_w = torch.zeros_like(place.joint, dtype=torch.float64)
    total = torch.zeros_like(log_w[0])
    values = betas.tolist()
    for t in range(1, len(values)):
        log_w += (values[t] - values[t - 1]) * _log_ratio(place)
        if t < len(values) - 1:  # A move at b = 1 would change no weight.
            place, accepted = move(target, place, values[t], steps[t - 1], generator)
            total += accepted.double().mean(0)
    return log_w, total / (len(values) - 2) if len(values) > 2 else total * torch.nan


def reverse(
    target: Target,
    betas: Tensor,
    steps: Tensor,
    exact: Tensor,
    chains: int,
    generator: torch.Generator,
) -> Tensor:
    """Chains from an exact draw of p(z|x) to q(z|x), for an upper bound.

    -log mean exp of the result over the chains is in expectation an upper bound on log p(x). The
    chains of an image share the draw that they start from.

    Args:
        target: the images.
        betas: b_0 = 0 to b_T = 1.
        steps: as in `forward`.
        exact: z ~ p(z|x) of each image, shape [N, latent].
        chains: C.
        generator: of all noise.

    Returns:
        The log weights, float64 of shape [C, N].
    """
    place = target.at(target.posteriors.noise(exact).expand(chains, -1, -1).contiguous())
    log_w = torch.zeros_like(place.joint, dtype=torch.float64)
    values = betas.tolist()
    for t in range(len(values) - 1, 0, -1):
        place, _ = move(target, place, values[t], steps[t - 1], generator)
        log_w += (values[t - 1] - values[t]) * _log_ratio(place)
    return log_w


def move(
    target: Target, place: _Place, beta: float, step: Tensor, generator: torch.Generator
) -> tuple[_Place, Tensor]:
    """One Hamiltonian move, which leaves f_b invariant.

    Args:
        target: the images.
        place: where the chains are.
        beta: b.
        step: the step size of each image, shape [N].
        generator: of the momenta and of the decisions.

    Returns:
        Where the chains are then, and the probability of each move, shape [C, N].
    """
    epsilon = step[:, None]
    momentum = torch.empty_like(place.e).normal_(generator=generator)
    uniform = torch.empty_like(place.joint).uniform_(generator=generator)
    before = _log_density(place, beta) - 0.5 * momentum.square().sum(-1)
    there = place
    momentum = momentum + 0.5 * epsilon * _force(there, beta)
    for k in range(LEAPFROGS):
        there = target.at(there.e + epsilon * momentum)
        share = 1.0 if k < LEAPFROGS - 1 else 0.5
        momentum = momentum + share * epsilon * _force(there, beta)
    after = _log_density(there, beta) - 0.5 * momentum.square().sum(-1)
    # A trajectory that left the numbers is not accepted.
    probability = (after - before).nan_to_num(-torch.inf, -torch.inf, -torch.inf).exp().clamp(max=1)
    accepted = uniform < probability
    chosen = accepted[..., None]
    return (
        _Place(
            torch.where(chosen, there.e, place.e),
            torch.where(accepted, there.joint, place.joint),
            torch.where(chosen, there.gradient, place.gradient),
        ),
        probability,
    )


def _normal(target: Target, chains: int, generator: torch.Generator) -> Tensor:
    mean = target.posteriors.mean
    return mean.new_empty(chains, *mean.shape).normal_(generator=generator)


def _log_ratio(place: _Place) -> Tensor:
    """log f_1 - log f_0, float64."""
    return place.joint.double() - standard_log_density(place.e).double()


def _log_density(place: _Place, beta: float) -> Tensor:
    return (1 - beta) * standard_log_density(place.e) + beta * place.joint


def _force(place: _Place, beta: float) -> Tensor:
    return beta * place.gradient - (1 - beta) * place.e
