"""The posteriors of a set of images in coordinates in which the prior in force is N(0, I).

With p(z) = N(0, S^2), z is replaced by S^-1 z. Divergences do not depend on such a change, and what
is measured on a floating prior can be compared with what is measured on N(0, I). All is float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.prior import DiagonalPrior, FullPrior, Prior
from vaebench.core.vae import blocks
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians

IMAGES_AT_ONCE = 2000
"""With a full Sigma and n = 100, so many Cholesky factors have 160 MB."""


@dataclass(frozen=True)
class Codes:
    """The posteriors q(z|x_i) of N images. They are made again for each pass, block by block.

    The Cholesky factors of 60,000 images with n = 100 have 5 GB, and take a second to compute.
    """

    count: int
    """N."""
    make: Callable[[slice], Gaussians]
    """The posteriors of some images."""
    at_once: int = IMAGES_AT_ONCE

    def blocks(self) -> Iterator[Gaussians]:
        """All posteriors, in order."""
        for rows in blocks(self.count, self.at_once):
            yield self.make(rows)

    def all(self) -> Gaussians:
        """All posteriors at once, for few dimensions."""
        parts = list(self.blocks())
        return Gaussians(*(torch.cat([getattr(p, k) for p in parts]) for k in ("mean", "factor")))

    @staticmethod
    def of(posteriors: Gaussians) -> Codes:
        """Posteriors that are there already."""
        return Codes(len(posteriors.mean), posteriors.rows)


def codes_of(density: Density, levels: Tensor) -> Codes:
    """The whitened posteriors of images under a run.

    Args:
        density: of the run.
        levels: images as levels 0..255 (uint8) or pixels in [0, 1], shape [N, pixel].
    """

    def make(rows: slice) -> Gaussians:
        return whitened(density.encode(density.data(levels[rows])), density.prior)

    return Codes(len(levels), make)


def whitened(posteriors: Gaussians, prior: Prior) -> Gaussians:
    """Posteriors of S^-1 z, float64."""
    mean, factor = posteriors.mean.double(), posteriors.factor.double()
    if isinstance(prior, DiagonalPrior):
        std = prior.square[0, 0].to(mean).sqrt()
        return Gaussians(mean / std, factor / (std[:, None] if posteriors.is_full else std))
    assert isinstance(prior, FullPrior)
    lower = prior.cholesky[0].to(mean)
    wide = factor if posteriors.is_full else torch.diag_embed(factor)
    solved = torch.linalg.solve_triangular(lower, wide, upper=False)
    return Gaussians(torch.linalg.solve_triangular(lower, mean.T, upper=False).T, solved)


def unwhitened(z: Tensor, prior: Prior) -> Tensor:
    """The codes S z of whitened codes, shape [..., latent]."""
    if isinstance(prior, FullPrior):
        return z @ prior.cholesky[0].to(z).mT
    return z * prior.variance[0, 0].to(z).sqrt()
