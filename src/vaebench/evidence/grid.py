"""The exact evidence log p(x) for one or two latent dimensions, by the sum over a dense grid of z.

A run's images share one grid: G points in each direction, from -w_j to w_j with
w_j = max(6 S_j, max_i |mu_ij| + 8 sd_ij). The rectangle rule on it is exact but for the kinks of
ReLU networks, whose error is of the order of the squared step. So the result is compared with that
of half as many points, and G is doubled until both agree.

The evidence lower bound is not computed on the grid, since q(z|x) may be narrower than a cell, but
by Gauss-Hermite quadrature. gap = log p(x) - bound = KL(q(z|x) | p(z|x)) >= 0, which is a second
check of the grid.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vaebench.errors import UserError
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.pairs import Pairs
from vaebench.progress import log

POINTS = {1: 4096, 2: 600}
"""G at first, by the number of latent dimensions."""
MOST_POINTS = {1: 1 << 20, 2: 2400}
TILE = 4096
"""The number of grid points in a block: a square in two dimensions."""
SKIP_NATS = 40.0
"""A block of points counts for an image if its best point is not so far below the image's best."""
CHECKED_IMAGES = 200
MOST_MOVED = 0.005
"""The most that the mean of the checked images may move between G/2 and G points, in nats."""
LEAST_GAP = -0.01
"""A gap below this, in nats, shows that the grid is too coarse for an image."""
NODES = 32
"""Q: nodes of the Gauss-Hermite rule in each dimension."""
LEAST_WEIGHT = 1e-10
"""Nodes of a smaller weight are left out."""


@dataclass(frozen=True)
class Grid:
    """A regular grid of codes about the origin."""

    half_widths: tuple[float, ...]
    """w_j of each latent dimension."""
    points: int
    """G, in each dimension."""

    @property
    def steps(self) -> tuple[float, ...]:
        """h_j = 2 w_j / (G - 1)."""
        return tuple(2 * width / (self.points - 1) for width in self.half_widths)

    @property
    def log_cell(self) -> float:
        """The log of the volume of a cell."""
        return sum(math.log(step) for step in self.steps)

    def with_points(self, points: int) -> "Grid":
        """A grid of the same extent."""
        return Grid(self.half_widths, points)

    def tiles(self, device: torch.device) -> Iterator[Tensor]:
        """Blocks of neighbouring points, float64 of shape [B, latent]."""
        side = round(TILE ** (1 / len(self.half_widths)))
        axes = [
            torch.linspace(-width, width, self.points, dtype=torch.float64, device=device).split(
                side
            )
            for width in self.half_widths
        ]
        if len(axes) == 1:
            yield from (part[:, None] for part in axes[0])
            return
        for first in axes[0]:
            for second in axes[1]:
                yield torch.cartesian_prod(first, second)


@dataclass(frozen=True)
class GridPosteriors:
    """The evidence and the exact posteriors p(z|x) of N images, float64 on the CPU."""

    log_p: Tensor
    """log p(x) in nats of scaled data, shape [N]."""
    mean: Tensor
    """Shape [N, latent]."""
    covariance: Tensor
    """Shape [N, latent, latent]."""
    entropy: Tensor
    """The differential entropy of p(z|x) in nats, shape [N]."""

    def rows(self, rows: slice) -> "GridPosteriors":
        """Those of some images."""
        fields = (self.log_p, self.mean, self.covariance, self.entropy)
        return GridPosteriors(*(field[rows] for field in fields))


@dataclass(frozen=True)
class Convergence:
    """The comparison of a grid with one of half as many points in each dimension."""

    images: int
    mean: float
    """The mean of log p(x), in nats."""
    mean_at_half: float

    @property
    def moved(self) -> float:
        """The difference of the two."""
        return abs(self.mean - self.mean_at_half)


def grid_for(density: Density, posteriors: Gaussians, points: int | None = None) -> Grid:
    """The grid of a run.

    Args:
        density: of one or two latent dimensions.
        posteriors: q(z|x) of all images that are to be measured.
        points: G; as in `POINTS` if not given.

    Raises:
        UserError: there are more latent dimensions.
    """
    if density.latent_dim not in POINTS:
        raise UserError(
            f"method: a grid is for 1 or 2 latent dimensions (found {density.latent_dim}): use ais"
        )
    reach = (posteriors.mean.abs() + 8 * posteriors.std).double().amax(0)
    prior = 6 * density.prior.variance[0, 0].sqrt()
    widths = torch.maximum(reach.cpu(), prior.cpu()).tolist()
    return Grid(tuple(widths), points or POINTS[density.latent_dim])


@torch.no_grad()
def integrate(density: Density, x: Tensor, posteriors: Gaussians, grid: Grid) -> GridPosteriors:
    """Sum p(x, z) over a grid.

    Args:
        density: of the run.
        x: scaled data, shape [N, pixel]. The largest tensor has N x 4096 numbers.
        posteriors: q(z|x) of these images. Their means tell where p(x, z) is large.
        grid: from `grid_for`.
    """
    latent, pairs = density.latent_dim, Pairs.of(density, x)
    top = density.log_joint(x, posteriors.mean).double()
    upper = torch.triu_indices(latent, latent, device=x.device)
    # Sums of w, w z, w z z' and w log p(x, z), with w = p(x, z) / exp(top).
    sums = top.new_zeros(len(x), 2 + latent + upper.shape[1])
    # Second moments are of deviations from the encoder's mean, so that they do not cancel.
    centre = posteriors.mean.double()
    for tile in grid.tiles(x.device):
        joint = pairs.log_likelihood(tile.to(density.dtype))
        joint += density.log_prior(tile).to(joint)
        best = joint.amax(1).double()
        rows = (best > top - SKIP_NATS).nonzero()[:, 0]
        if not len(rows):
            continue
        part, new_top = joint[rows].double(), torch.maximum(top[rows], best[rows])
        weights = (part - new_top[:, None]).exp_()
        middle = tile.mean(0)
        near = tile - middle
        products = near[:, upper[0]] * near[:, upper[1]]
        moments = weights @ torch.cat([torch.ones_like(tile[:, :1]), near, products], 1)
        moments = _shifted(moments, middle - centre[rows], upper)
        energy = (weights * part).sum(1, keepdim=True)
        kept = (top[rows] - new_top).exp_()[:, None]
        sums[rows] = sums[rows] * kept + torch.cat([moments, energy], 1)
        top[rows] = new_top
    total = sums[:, 0]
    log_p = top + total.log() + grid.log_cell
    mean = sums[:, 1 : 1 + latent] / total[:, None]
    second = mean.new_empty(len(x), latent, latent)
    second[:, upper[0], upper[1]] = sums[:, 1 + latent : -1] / total[:, None]
    second[:, upper[1], upper[0]] = second[:, upper[0], upper[1]]
    covariance = second - mean[:, :, None] * mean[:, None]
    entropy = log_p - sums[:, -1] / total
    found = (log_p, mean + centre, covariance, entropy)
    return GridPosteriors(*(tensor.cpu() for tensor in found))


def _shifted(moments: Tensor, shift: Tensor, upper: Tensor) -> Tensor:
    """Sums of w, w v and w v v' (upper triangle) for v = u + shift, from those for u."""
    latent = shift.shape[1]
    total, first, second = moments[:, :1], moments[:, 1 : 1 + latent], moments[:, 1 + latent :]
    i, j = upper
    second = (
        second
        + first[:, i] * shift[:, j]
        + shift[:, i] * first[:, j]
        + total * shift[:, i] * shift[:, j]
    )
    return torch.cat([total, first + total * shift, second], 1)


def converged_grid(
    density: Density, x: Tensor, posteriors: Gaussians, grid: Grid, most: int | None = None
) -> tuple[Grid, Convergence, GridPosteriors]:
    """Double the points of a grid until the mean of the first images does not depend on them.

    Args:
        density: of the run.
        x: scaled data of all images.
        posteriors: q(z|x) of them.
        grid: the first to be tried.
        most: the largest G; as in `MOST_POINTS` if not given.

    Returns:
        The grid, its comparison with half as many points, and what it gives for the first
        `CHECKED_IMAGES` images, which may be all of them.

    Raises:
        UserError: the mean still moves at the largest G.
    """
    most = most or MOST_POINTS[density.latent_dim]
    few = slice(0, CHECKED_IMAGES)
    first, own = x[few], posteriors.rows(few)
    coarse = integrate(density, first, own, grid.with_points(grid.points // 2))
    while True:
        fine = integrate(density, first, own, grid)
        found = Convergence(len(first), float(fine.log_p.mean()), float(coarse.log_p.mean()))
        if found.moved < MOST_MOVED:
            return grid, found, fine
        if 2 * grid.points > most:
            raise UserError(
                f"the grid is too coarse: with {grid.points} points an axis the mean evidence of "
                f"{found.images} images is {found.mean:.3f} nats, and {found.mean_at_half:.3f} "
                f"with half of them (they may differ by {MOST_MOVED}); use --method ais"
            )
        log.info(f"[grid] {grid.points} points an axis are too few ({found.moved:.3g} nats)")
        grid, coarse = grid.with_points(2 * grid.points), fine


def gauss_hermite(latent: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Nodes e, shape [Q, latent], and weights, shape [Q], for means under N(0, I). Float64."""
    nodes, weights = (
        torch.from_numpy(np.asarray(a)) for a in np.polynomial.hermite_e.hermegauss(NODES)
    )
    weights = weights / weights.sum()
    e = torch.cartesian_prod(*[nodes] * latent).view(-1, latent)
    w = torch.cartesian_prod(*[weights] * latent).view(-1, latent).prod(-1)
    kept = w > LEAST_WEIGHT
    return e[kept].to(device), w[kept].to(device)


@torch.no_grad()
def exact_elbo(density: Density, x: Tensor, posteriors: Gaussians) -> Tensor:
    """The evidence lower bound of each image, without sampling noise: float64 of shape [N], CPU.

    The divergence is in closed form, and E_q log p(x|z) by the tensor product of two Gauss-Hermite
    rules, so it is for one or two latent dimensions.
    """
    nodes, weights = gauss_hermite(density.latent_dim, x.device)
    expected = []
    for rows in torch.arange(len(x)).split(max(1, density.rows_at_once // len(nodes))):
        block = slice(int(rows[0]), int(rows[-1]) + 1)
        z = posteriors.rows(block).z(nodes.to(density.dtype)[:, None])
        values = density.log_likelihood(x[block], z).double()
        expected.append((weights[:, None] * values).sum(0))
    return (torch.cat(expected) - posteriors.kl(density.prior)).cpu()


def check_gaps(gap: Tensor, grid: Grid) -> None:
    """Check that no gap is below 0.

    Raises:
        UserError: one is, or is not finite.
    """
    bad = ~(gap >= LEAST_GAP)
    if bad.any():
        raise UserError(
            f"the grid is too coarse for {int(bad.sum())} images: with {grid.points} points an "
            f"axis their evidence is up to {-float(gap.nan_to_num(-math.inf).min()):.3g} nats "
            "below the evidence lower bound; use --method ais"
        )
