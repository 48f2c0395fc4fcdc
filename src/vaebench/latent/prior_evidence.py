"""The exact evidence of test images under other priors of the same decoder, for n <= 2.

As in `evidence/grid.py`, with several log p(z) in one pass: that in force, the Gaussian N(m, C)
that is fitted to the aggregated posterior, and the aggregated posterior q_N itself. The gain of the
evidence need not be that of the bound, in which q(z|x) stays what it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians, standard_log_density
from vaebench.evidence.grid import (
    CHECKED_IMAGES,
    MOST_MOVED,
    MOST_POINTS,
    POINTS,
    Grid,
)
from vaebench.evidence.pairs import Pairs
from vaebench.experiment.latent import PRIORS
from vaebench.latent.codes import unwhitened
from vaebench.latent.divergence import gaussian_log_density
from vaebench.latent.mixture import Moments, log_density_on_tile

IMAGES_AT_ONCE = 2500


@dataclass(frozen=True)
class PriorEvidence:
    """Mean evidence of test images, nats of scaled data."""

    points: int
    """G of the grid, in each dimension."""
    moved: float
    """The most that a mean of the checked images moved between G/2 and G points."""
    log_p: Tensor
    """log p(x) under each of `PRIORS`, float64 of shape [3, N]."""


@torch.no_grad()
def prior_evidence(
    density: Density, levels: Tensor, train: Gaussians, test: Gaussians, fitted: Moments
) -> PriorEvidence:
    """The evidence of test images under three priors.

    Args:
        density: of one or two latent dimensions.
        levels: test images, shape [N, pixel].
        train: the whitened posteriors of all training images.
        test: those of the test images.
        fitted: the moments of `train`.
    """
    x = density.data(levels)
    latent = density.latent_dim
    reach = [(q.mean.abs() + 8 * q.std).amax(0) for q in (train, test)]
    widths = torch.maximum(*reach).clamp(min=6).tolist()
    grid, most = Grid(tuple(widths), POINTS[latent]), MOST_POINTS[latent]
    few = slice(0, CHECKED_IMAGES)
    while True:
        found = _on_grid(density, x, train, fitted, grid)
        half = _on_grid(density, x[few], train, fitted, grid.with_points(grid.points // 2))
        moved = float((found[:, few].mean(1) - half.mean(1)).abs().max())
        if moved < MOST_MOVED or 2 * grid.points > most:
            return PriorEvidence(grid.points, moved, found.cpu())
        grid = grid.with_points(2 * grid.points)


def log_densities(tile: Tensor, train: Gaussians, fitted: Moments) -> Tensor:
    """The three log p(z) at whitened codes of shape [B, latent], in nats: shape [3, B]."""
    return torch.stack(
        [
            standard_log_density(tile),
            gaussian_log_density(tile, fitted),
            log_density_on_tile(train, tile),
        ]
    )


def _on_grid(density: Density, x: Tensor, train: Gaussians, fitted: Moments, grid: Grid) -> Tensor:
    """log p(x) under each prior, shape [3, N]."""
    pairs = [Pairs.of(density, part) for part in x.split(IMAGES_AT_ONCE)]
    found = torch.full((len(PRIORS), len(x)), -math.inf, dtype=torch.float64, device=x.device)
    for tile in grid.tiles(x.device):
        priors = log_densities(tile, train, fitted)
        # The tile counts under one prior or another.
        codes = unwhitened(tile, density.prior).to(density.dtype)
        likelihood = torch.cat([part.log_likelihood(codes) for part in pairs]).double()
        for row, prior in zip(found, priors, strict=True):
            if bool(prior.isfinite().any()):
                row.copy_(torch.logaddexp(row, (likelihood + prior).logsumexp(1)))
    return found + grid.log_cell
