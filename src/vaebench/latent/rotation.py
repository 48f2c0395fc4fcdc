"""Whether a run has turned its latent space so that a diagonal Sigma loses little.

Under N(0, I) a rotation R of the latent space changes neither p(x) nor the rate of a full Sigma, if
the decoder's first layer is turned along. It turns the exact posteriors' precisions A_i into
R A_i R'. The best diagonal Sigma then loses against the best full one (Eq. 12 in Eq. 25)

    loss(R) = mean_i 1/2 (sum_j log (R A_i R')_jj - log det A_i)  nats,

which depends on R. If diagonal posteriors have turned the space, loss(I) is far below the mean over
random R and near the smallest. The R with the smallest loss are the common principal axes of the
A_i (Flury, 1984); they are searched by turns of two axes at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ROTATIONS = 32
ANGLES = 24
SWEEPS = 8
LEAST_GAIN = 1e-4
"""The search ends with a sweep that gains less, in nats."""
LEAST_SPAN = 1e-3
"""If the best axes gain less than so many nats against random ones, no axes are better."""


@dataclass(frozen=True)
class Rotation:
    """What a diagonal Sigma loses, in nats."""

    loss: float
    """Along the axes of the run."""
    random: float
    """The mean over random rotations."""
    best: float
    """Along the best axes that were found."""

    @property
    def alignment(self) -> float | None:
        """1 for the best axes, 0 for axes as good as random ones; None if all are alike."""
        span = self.random - self.best
        return None if span < LEAST_SPAN else (self.random - self.loss) / span


def rotation(precisions: Tensor, random: torch.Generator) -> Rotation:
    """Measure the losses of a diagonal Sigma.

    Args:
        precisions: A_i in whitened coordinates, float64 of shape [N, latent, latent].
        random: draws the rotations.
    """
    latent = precisions.shape[-1]
    log_det = torch.linalg.slogdet(precisions)[1].mean()

    def loss(turned: Tensor) -> float:
        diagonal = turned.diagonal(dim1=-2, dim2=-1)
        return 0.5 * float(diagonal.log().sum(-1).mean() - log_det)

    drawn = [
        loss(turn @ precisions @ turn.T)
        for turn in (random_rotation(latent, random).to(precisions) for _ in range(ROTATIONS))
    ]
    own = loss(precisions)
    best = min(own, loss(best_axes(precisions)))
    return Rotation(own, sum(drawn) / len(drawn), best)


def random_rotation(latent: int, random: torch.Generator) -> Tensor:
    """An orthogonal matrix, uniformly distributed, float64 of shape [latent, latent]."""
    normal = torch.empty(latent, latent, dtype=torch.float64, device=random.device)
    q, r = torch.linalg.qr(normal.normal_(generator=random))
    turned: Tensor = q * r.diagonal().sign()
    return turned


def best_axes(precisions: Tensor) -> Tensor:
    """The precisions along the axes with the smallest loss: A turned by turns of two axes.

    Every turn lowers the loss or is left out. The search may end in a local minimum.
    """
    turned, latent = precisions.clone(), precisions.shape[-1]
    span = math.pi / 2  # A turn by a right angle swaps two axes, and changes nothing.
    for _ in range(SWEEPS):
        gained = 0.0
        for j in range(latent):
            for k in range(j + 1, latent):
                angles = torch.arange(ANGLES, device=turned.device, dtype=torch.float64)
                angles = (angles / ANGLES - 0.5) * span
                gained += _turn(turned, j, k, angles)
        span /= 2
        if gained < LEAST_GAIN:
            break
    return turned


def _turn(matrices: Tensor, j: int, k: int, angles: Tensor) -> float:
    """Turn two axes of all matrices by the best of some angles, in place. Returns the gain."""
    a, b, c = matrices[:, j, j, None], matrices[:, k, k, None], matrices[:, j, k, None]
    cos, sin = angles.cos(), angles.sin()
    first = a * cos**2 + b * sin**2 + 2 * c * cos * sin
    second = a * sin**2 + b * cos**2 - 2 * c * cos * sin
    loss = 0.5 * (first.log() + second.log()).mean(0)
    before = 0.5 * float((a.log() + b.log()).mean())
    place = int(loss.argmin())
    gain = before - float(loss[place])
    if gain <= 0:
        return 0.0
    turn = torch.stack(
        [torch.stack([cos[place], sin[place]]), torch.stack([-sin[place], cos[place]])]
    )
    pair = [j, k]
    matrices[:, pair] = turn @ matrices[:, pair]
    matrices[:, :, pair] = matrices[:, :, pair] @ turn.T
    return gain
