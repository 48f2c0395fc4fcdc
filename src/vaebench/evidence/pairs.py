"""log p(x_i | z_b) for all pairs of N images and B codes, as products of matrices.

Bernoulli and Gaussian likelihoods are exponential families: log p(x|z) is linear in x, or in x and
x^2, so that all pairs take one or two products instead of N B passes of the decoder's output. Other
likelihoods are computed pair by pair, which is slow.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.log_likelihood import pixel_log_likelihood
from vaebench.evidence.density import NUMBERS_AT_ONCE, Density
from vaebench.numerics.kernels import bernoulli_log_likelihood


@dataclass(frozen=True)
class Pairs:
    """Images, prepared for the products with any number of blocks of codes."""

    density: Density
    x: Tensor
    """Scaled data, shape [N, pixel]. For Gaussians in float64, and minus `centre`."""
    centre: Tensor
    """The mean of the images, without which squares would cancel to fewer digits."""

    @staticmethod
    def of(density: Density, x: Tensor) -> "Pairs":
        """Prepare scaled data x of shape [N, pixel]."""
        if density.kind != "gaussian":
            return Pairs(density, x, x.new_zeros(x.shape[-1]))
        centre = x.double().mean(0)
        return Pairs(density, x.double() - centre, centre)

    @torch.no_grad()
    def log_likelihood(self, z: Tensor) -> Tensor:
        """log p(x_i | z_b) in nats, shape [N, B].

        Args:
            z: shape [B, latent].
        """
        parts = [self._block(part) for part in z.split(self.density.rows_at_once)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _block(self, z: Tensor) -> Tensor:
        match self.density.kind:
            case "bernoulli":
                output = self.density.decode(z).output
                offset = bernoulli_log_likelihood(torch.zeros_like(output), output)
                return torch.addmm(offset, self.x, output.T)
            case "gaussian":
                return self._gaussian(z)
            case _:
                return self._one_by_one(z)

    def _gaussian(self, z: Tensor) -> Tensor:
        mean, std = self.density.mean_and_std(self.density.decode(z))
        mean, std = mean.double() - self.centre, std.double()
        precision = std.square().reciprocal()
        per_pixel = math.log(2 * math.pi) + 2 * std.log() + mean.square() * precision
        offset = -0.5 * per_pixel.expand_as(mean).sum(-1)
        linear = torch.addmm(offset, self.x, (mean * precision).T)
        if precision.shape == mean.shape and len(mean) > 1:  # T depends on z
            return linear.addmm_(self.x.square(), precision.T, alpha=-0.5)
        return linear - 0.5 * (self.x.square() * precision).sum(-1, keepdim=True)

    def _one_by_one(self, z: Tensor) -> Tensor:
        density = self.density
        decoded = density.vae.network.decode(density.parameters, z[None])
        at_once = max(1, NUMBERS_AT_ONCE // decoded.output[0].numel())
        columns = []
        for part in self.x.split(at_once):
            pairs = part.repeat_interleave(len(z), 0)[None]
            output = decoded.output.repeat(1, len(part), 1)
            std = decoded.std
            if std is not None and std.shape == decoded.output.shape:
                std = std.repeat(1, len(part), 1)
            found = pixel_log_likelihood(
                density.vae.likelihood,
                pairs,
                decoded._replace(output=output, std=std),
                density.vae.likelihood_parameters,
            )
            columns.append(found.reshape(len(part), len(z)))
        return torch.cat(columns)
