"""p(y, z|x) and q(z|x, y) of a conditional run, as `evidence` sees the densities of other runs.

Codes are in the coordinates of the prior, so that p(z|x) is N(0, I), see `core/conditioning.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.core.conditioning import Given
from vaebench.core.log_likelihood import (
    isotropic_log_likelihood,
    pixel_log_likelihood,
    squared_residual,
)
from vaebench.core.posterior import DiagonalPosterior
from vaebench.core.vae import blocks
from vaebench.evidence.density import Density, density_of
from vaebench.evidence.gaussians import Gaussians
from vaebench.runs.record import RunRecord


@dataclass(frozen=True)
class Completion(Density):
    """The densities of hidden pixels y, given observed ones x. Data have all pixels."""

    @torch.no_grad()
    def encode(self, x: Tensor) -> Gaussians:
        """q(z|x, y) of scaled data, in the coordinates of the prior."""
        means, factors = [], []
        for rows in blocks(len(x), self.vae.network.images_at_once):
            data = x[None, rows]
            posterior = self.vae.encode(self.parameters, data, self.given(data[0]))
            means.append(posterior.mean[0])
            one: Tensor = getattr(posterior, "cholesky", posterior.std)[0]
            shape = one.shape[1:] if one.ndim == 3 else means[-1].shape[1:]
            factors.append(one.expand(len(means[-1]), *shape))
        return Gaussians(torch.cat(means), torch.cat(factors))

    def given(self, x: Tensor) -> Given:
        """What is known before the hidden pixels of x, shape [N, pixel], are."""
        given = self.vae.given(self.parameters, x[None])
        assert given is not None
        return given

    def prior_of(self, x: Tensor) -> DiagonalPosterior | None:
        """p(z|x) in its own coordinates, float64 of shape [N, latent]. None if it is N(0, I)."""
        found = self.given(x).prior
        return None if found is None else found.changed(lambda tensor: tensor[0].double())

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(y|x, z) in nats, differentiable.

        Args:
            x: scaled data, shape [N, pixel].
            z: codes of each image in the coordinates of the prior, shape [..., N, latent].

        Returns:
            Shape [..., N].
        """
        count, vae = z.shape[:-1], self.vae
        flat = z.reshape(1, -1, z.shape[-1])
        given = self.given(x).repeated(flat.shape[1] // len(x))
        decoded = vae.decode(self.parameters, flat, given)
        target = vae.target(x).expand(*count, -1).reshape(1, flat.shape[1], -1)
        if self.variance is not None:
            squared = squared_residual(vae.likelihood, target, decoded)
            variance = squared.new_tensor(self.variance)
            found = isotropic_log_likelihood(squared, variance, target.shape[-1])
        else:
            found = pixel_log_likelihood(vae.likelihood, target, decoded, vae.likelihood_parameters)
        return found.reshape(count)


def density_or_completion(
    record: RunRecord,
    weights: Mapping[str, Tensor],
    arrays: Mapping[str, NDArray[Any]],
    device: torch.device,
) -> Density:
    """The densities of a finished run of any kind. Arguments and errors as in `density_of`."""
    found = density_of(record, weights, arrays, device)
    if not record.run.is_conditional:
        return found
    return Completion(found.vae, found.parameters, found.prior, found.variance, found.dtype)
