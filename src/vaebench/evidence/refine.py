"""What the gap of a trained run is made of: each image's own best q on the frozen decoder.

The bound of an image is raised in (mu, log sd) or in (mu, L) by Adam, from several starts:

    gap = amortisation + wrong mode + diagonal family + non-Gaussianity
    amortisation       bound refined from the encoder's q, minus the encoder's own bound
    wrong mode         refined from the moments of the exact posterior, minus that from the encoder
    diagonal family    refined with a full Sigma, minus that with a diagonal one
    non-Gaussianity    log p(x), minus the bound with a full Sigma

Without exact moments, which the grid gives, there is no start in the right mode, and too many draws
are needed to refine a full Sigma in many dimensions. Only amortisation is then told apart, and
`rest` has the other three together. A run with full Sigma is refined with a full Sigma throughout,
so its diagonal family loses nothing.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians, antithetic
from vaebench.evidence.grid import GridPosteriors, exact_elbo
from vaebench.numerics.streams import generator as stream

STEPS = 120
STEP_SIZE = 0.1
"""Of Adam at first, in standard deviations of the encoder's q. It goes to 0 along half a cosine."""
BETAS, EPSILON = (0.9, 0.999), 1e-8
PAIRS = 8
"""Antithetic pairs of draws in a step: 16 draws."""
EVALUATION_PAIRS = 256
"""Pairs of draws for the final bounds, if there are too many dimensions for quadrature."""


@dataclass(frozen=True)
class Parts:
    """The parts of the gap of N images in nats, which add up to it: float64 on the CPU, [N]."""

    amortisation: Tensor
    wrong_mode: Tensor | None
    diagonal_family: Tensor | None
    rest: Tensor
    """The non-Gaussianity; without exact moments, the sum of the other three."""


def gap_parts(
    density: Density,
    x: Tensor,
    posteriors: Gaussians,
    log_p: Tensor,
    exact: GridPosteriors | None,
    seed: int,
    name: str,
) -> Parts:
    """Split the gap of some images into its causes.

    Args:
        density: of the run.
        x: scaled data, shape [N, pixel].
        posteriors: the encoder's q(z|x).
        log_p: log p(x), float64 of shape [N].
        exact: the moments of p(z|x), if they are known.
        seed: of the random numbers.
        name: names the random streams of the block.
    """

    def bound(start: Gaussians, full: bool) -> Tensor:
        q = refine(density, x, start, posteriors.std, full, seed, name)
        return elbo(density, x, q, seed, name)

    own = elbo(density, x, posteriors, seed, name)
    from_encoder = bound(posteriors, posteriors.is_full)
    if exact is None:
        return Parts(from_encoder - own, None, None, log_p - from_encoder)
    moments = from_moments(density, exact)
    full = bound(moments, True)
    in_family = full if posteriors.is_full else bound(nearest_diagonal(moments), False)
    return Parts(from_encoder - own, in_family - from_encoder, full - in_family, log_p - full)


def from_moments(density: Density, exact: GridPosteriors) -> Gaussians:
    """The Gaussians with the moments of exact posteriors."""
    factor = torch.linalg.cholesky(exact.covariance)
    return Gaussians(exact.mean, factor).changed(lambda t: t.to(density.device, density.dtype))


def nearest_diagonal(full: Gaussians) -> Gaussians:
    """The diagonal Gaussians that are nearest in the sense of the bound."""
    precision = torch.cholesky_inverse(full.factor.double())
    std = precision.diagonal(dim1=-2, dim2=-1).rsqrt()
    return Gaussians(full.mean, std.to(full.mean))


def refine(
    density: Density,
    x: Tensor,
    start: Gaussians,
    unit: Tensor,
    full: bool,
    seed: int,
    name: str,
) -> Gaussians:
    """Raise the bound of each image on a frozen decoder.

    Args:
        density: of the run.
        x: scaled data, shape [N, pixel].
        start: the first q of each image.
        unit: the standard deviations that steps are measured in, shape [N, latent].
        full: whether Sigma is full.
        seed: of the random numbers.
        name: names the random streams of the block.

    Returns:
        The refined q.
    """
    random = stream(seed, "samples", f"refine {name}", x.device)
    factor = start.cholesky if full else start.factor
    scale = factor.diagonal(dim1=-2, dim2=-1) if full else factor
    free = {"mean": torch.zeros_like(start.mean), "log": torch.zeros_like(start.mean)}
    if full:
        free["lower"] = torch.zeros_like(factor)
    free = {key: tensor.requires_grad_() for key, tensor in free.items()}
    moments = {key: (torch.zeros_like(t), torch.zeros_like(t)) for key, t in free.items()}

    def current() -> Gaussians:
        diagonal = scale * free["log"].exp()
        mean = start.mean + unit * free["mean"]
        if not full:
            return Gaussians(mean, diagonal)
        below = factor + unit[:, :, None] * free["lower"]
        return Gaussians(mean, below.tril(-1) + torch.diag_embed(diagonal))

    for step in range(1, STEPS + 1):
        with torch.enable_grad():
            q = current()
            z = q.z(antithetic(PAIRS, start.mean, random))
            value = density.log_joint(x, z).mean(0) + q.log_det()  # the bound, but for a constant
            gradients = torch.autograd.grad(value.sum(), list(free.values()))
        size = 0.5 * STEP_SIZE * (1 + math.cos(math.pi * (step - 1) / STEPS))
        with torch.no_grad():
            for key, gradient in zip(free, gradients, strict=True):
                first, second = moments[key]
                first.lerp_(gradient, 1 - BETAS[0])
                second.lerp_(gradient.square(), 1 - BETAS[1])
                root = (second / (1 - BETAS[1] ** step)).sqrt() + EPSILON
                free[key] += size * first / (1 - BETAS[0] ** step) / root
    return current().changed(Tensor.detach)


@torch.no_grad()
def elbo(density: Density, x: Tensor, q: Gaussians, seed: int, name: str) -> Tensor:
    """The bound of each image, float64 of shape [N] on the CPU: by quadrature, or by many draws.

    All q of a block have the same draws.
    """
    if density.latent_dim <= 2:
        return exact_elbo(density, x, q)
    random = stream(seed, "samples", f"refine bound {name}", x.device)
    total = x.new_zeros(len(x), dtype=torch.float64)
    at_once = max(1, density.rows_at_once // (2 * len(x)))
    for start in range(0, EVALUATION_PAIRS, at_once):
        count = min(at_once, EVALUATION_PAIRS - start)
        values = density.log_likelihood(x, q.z(antithetic(count, q.mean, random)))
        total += values.double().sum(0)
    return (total / (2 * EVALUATION_PAIRS) - q.kl(density.prior)).cpu()
