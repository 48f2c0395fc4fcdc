"""Eqs. 6 and 7: the best decoder for given posteriors, a kernel regression over the training set.

nu*(z) = sum_i w_i x_i with w = softmax_i log N(z; mu_i, Sigma_i). It is the optimum for Gaussian
means, and for Bernoulli's p as well, since the cross entropy is a proper score. The weights are
computed in float64, with codes relative to the mean code.

As the number of latent dimensions grows, the weight of the image that z was drawn from goes to 1:
the decoder has then memorised the training set, and says nothing about other images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from vaebench.core.vae import blocks
from vaebench.errors import UserError
from vaebench.evidence.gaussians import Gaussians

QUERIES_AT_ONCE = 64
"""Codes whose weights are computed at once: 64 x 60,000 numbers of float64 are 31 MB."""
LEAST_WEIGHT = 1e-12
"""Images of a smaller weight are left out of the Jacobian of a code."""
LEAST_SHARE = 1e-5
"""Means of pixels of a Bernoulli likelihood are kept so far away from 0 and 1, since no training
image decides on a pixel that none of them has."""


class Weights(NamedTuple):
    """What the kernel knows of some codes."""

    effective: Tensor
    """The effective number of images, 1 / sum w^2, shape [Q]."""
    largest: Tensor
    """The largest weight, shape [Q]."""


@dataclass(frozen=True)
class ClosedForm:
    """The posteriors and images of a training set."""

    images: Tensor
    """Scaled data x_i, shape [N, pixel]."""
    centre: Tensor
    """The mean code, float64."""
    mean: Tensor
    """mu_i minus the mean code, float64 of shape [N, latent]."""
    precision: Tensor
    """The diagonal of Sigma_i^-1, float64 of shape [N, latent]."""
    log_scale: Tensor
    """1/2 log det Sigma_i + 1/2 mu_i' Sigma_i^-1 mu_i, shape [N]."""

    @staticmethod
    def of(images: Tensor, posteriors: Gaussians) -> ClosedForm:
        """Prepare a training set.

        Raises:
            UserError: Sigma is not diagonal.
        """
        if posteriors.is_full:
            raise UserError("the closed-form decoder (Eq. 6) is computed for a diagonal Sigma only")
        mean = posteriors.mean.double()
        centre = mean.mean(0)
        mean = mean - centre
        precision = posteriors.factor.double().square().reciprocal().expand_as(mean)
        log_scale = posteriors.factor.double().expand_as(mean).log().sum(-1)
        own = 0.5 * (mean.square() * precision).sum(-1)
        return ClosedForm(images, centre, mean, precision, log_scale + own)

    def in_double(self) -> ClosedForm:
        """The same with images in float64."""
        return replace(self, images=self.images.double())

    def _weights(self, z: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Blocks of codes with their weights, float64 of shape [Q, N]."""
        linear, square = (self.mean * self.precision).T, self.precision.T
        for block in blocks(len(z), QUERIES_AT_ONCE):
            at = z[block].double() - self.centre
            kernel = at @ linear - self.log_scale
            kernel.addmm_(at.square(), square, alpha=-0.5)
            yield block, kernel.softmax(1)

    @torch.no_grad()
    def mean_at(self, z: Tensor) -> tuple[Tensor, Weights]:
        """Eq. 6.

        Args:
            z: shape [Q, latent].

        Returns:
            nu*(z), float64 of shape [Q, pixel], and the weights behind it.
        """
        found, effective, largest = [], [], []
        for _, weights in self._weights(z):
            found.append((weights.to(self.images) @ self.images).double())
            effective.append(1 / weights.square().sum(1))
            largest.append(weights.amax(1))
        return torch.cat(found), Weights(torch.cat(effective), torch.cat(largest))

    @torch.no_grad()
    def own_weight(self, z: Tensor, rows: Tensor) -> Tensor:
        """The weight of image rows[q] for code z[q], shape [Q]."""
        found = [w.gather(1, rows[block, None])[:, 0] for block, w in self._weights(z)]
        return torch.cat(found)

    @torch.no_grad()
    def jacobian_at(self, z: Tensor) -> Tensor:
        """Eq. 7: sum_i w_i (nu* - x_i) (z - mu_i)' Sigma_i^-1, float64.

        Args:
            z: shape [Q, latent].

        Returns:
            The transposed Jacobian, shape [Q, latent, pixel].
        """
        found = []
        for block, weights in self._weights(z):
            for code, weight in zip(z[block].double() - self.centre, weights, strict=True):
                rows = (weight > LEAST_WEIGHT).nonzero()[:, 0]
                share = weight[rows] / weight[rows].sum()
                slope = (code - self.mean[rows]) * self.precision[rows]
                x = self.images[rows].double()
                nu = share @ x
                # sum_i w_i d_i nu' - sum_i w_i d_i x_i' with d_i = Sigma_i^-1 (z - mu_i)
                weighted = share[:, None] * slope
                found.append(torch.outer(weighted.sum(0), nu) - weighted.T @ x)
        return torch.stack(found)


def curved_share(nu: Tensor, centre: Tensor) -> Tensor:
    """The share of a decoder's variation over q(z|x) that is not linear, shape [N].

    For antithetic codes mu + u and mu - u, the half difference of the decoder's means is what a
    linear decoder could have, and the half sum minus the mean at mu is not. It is 0 for a linear
    decoder, and NaN for a constant one.

    Args:
        nu: the means at mu + u and at mu - u, shape [2, pair, N, pixel].
        centre: the means at mu, shape [N, pixel].
    """
    odd = ((nu[0] - nu[1]) / 2).square().sum(-1).mean(0)
    even = ((nu[0] + nu[1]) / 2 - centre).square().sum(-1).mean(0)
    return even / (odd + even)
