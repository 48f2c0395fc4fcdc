"""p(x, z) and q(z|x) of one trained run: all that the measures of evidence know of it.

Any objective, posterior, prior and network of the registries can be measured, those of plugins
included: only log p(x|z), p(z) and q(z|x) count, not how they were trained.

- The prior is the one in force: N(0, I), or N(0, S^2) with S^2 of Eq. 4 on the training set.
- Where T is computed from a batch (BAGGINS, the optimal sigma-VAE), it depends on x, and there is
  no evidence. As for the evidence lower bound, T is then one frozen scalar: the mean squared
  residual of the training set.
- Under a Bernoulli likelihood of grey images, log p(x) is the log of an integral of
  exp(-cross entropy). It is comparable between runs, but a log-likelihood for 0/1 images only.

Tensors have no dimension for runs here. Data x are scaled (`data_scale`), of shape [N, pixel].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench import likelihoods
from vaebench.core.log_likelihood import (
    isotropic_log_likelihood,
    pixel_log_likelihood,
    squared_residual,
)
from vaebench.core.network import Parameters
from vaebench.core.prior import DiagonalPrior, FullPrior, Prior
from vaebench.core.vae import VAE, blocks, to_pixels
from vaebench.errors import UserError
from vaebench.evidence.gaussians import Gaussians
from vaebench.likelihoods import Decoded
from vaebench.models.make import make_vae
from vaebench.models.mlp import Net
from vaebench.runs.record import RunRecord

NUMBERS_AT_ONCE = 1 << 24
"""The largest tensor that a network of dense layers should make, in numbers."""
Kind = Literal["bernoulli", "gaussian", "other"]
GAUSSIANS = (
    likelihoods.gaussian,
    likelihoods.gaussian_learned,
    likelihoods.gaussian_shared,
    likelihoods.gaussian_coordinate,
)


@dataclass(frozen=True)
class Density:
    """The densities of a trained run. `density_of` makes it from a record and weights."""

    vae: VAE
    parameters: Parameters
    """Stacked, shape [1, ...]."""
    prior: Prior
    """p(z) in force, float64."""
    variance: float | None
    """The frozen scalar T, for a likelihood that computes it from a batch."""
    dtype: torch.dtype = torch.float32
    """In which the networks are computed."""

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return next(iter(self.parameters.values())).device

    @property
    def latent_dim(self) -> int:
        """n."""
        return self.vae.network.latent_dim

    @property
    def rows_at_once(self) -> int:
        """How many codes to decode at once, so that this takes some 100 MB."""
        network = self.vae.network
        return (
            NUMBERS_AT_ONCE // self.pixels if isinstance(network, Net) else network.images_at_once
        )

    @property
    def pixels(self) -> int:
        """m."""
        return self.vae.network.pixels

    @property
    def log_volume(self) -> float:
        """m log lambda. Added to log p of scaled data, it gives that of pixels in [0, 1]."""
        return float(self.vae.log_volume()[0])

    @property
    def kind(self) -> Kind:
        """The family of p(x|z): where it is not `other`, it is an exponential family."""
        function = self.vae.likelihood.function
        if function is likelihoods.bernoulli:
            return "bernoulli"
        known = self.vae.likelihood.variance is not None or function in GAUSSIANS
        return "gaussian" if known else "other"

    def data(self, images: Tensor) -> Tensor:
        """Scaled data x of images.

        Args:
            images: levels 0..255 as uint8, or pixels in [0, 1], shape [N, pixel].
        """
        there = images.to(self.device)
        pixels = to_pixels(there) if images.dtype == torch.uint8 else there
        return self.vae.to_data(pixels[None]).to(self.dtype)[0]

    @torch.no_grad()
    def encode(self, x: Tensor) -> Gaussians:
        """q(z|x) of scaled data x."""
        means, factors = [], []
        for rows in blocks(len(x), self.vae.network.images_at_once):
            posterior = self.vae.network.encode(self.parameters, x[None, rows])
            means.append(posterior.mean[0])
            one: Tensor = getattr(posterior, "cholesky", posterior.std)[0]
            shape = one.shape[1:] if one.ndim == 3 else means[-1].shape[1:]
            factors.append(one.expand(len(means[-1]), *shape))
        return Gaussians(torch.cat(means), torch.cat(factors))

    def decode(self, z: Tensor) -> Decoded:
        """The decoder's outputs. It is differentiable.

        Args:
            z: shape [..., latent].

        Returns:
            `output` of shape [..., pixel]: the mean of p(x|z), or its logits. `std`, if it is
            learned, of the same shape, or broadcastable to it.
        """
        decoded = self.vae.network.decode(self.parameters, z.reshape(1, -1, z.shape[-1]))
        output = decoded.output.reshape(*z.shape[:-1], self.pixels)
        std = decoded.std
        if std is None:
            return Decoded(output, None)
        depends_on_z = std.shape[1] == decoded.output.shape[1] and std.shape[1] > 1
        return Decoded(output, std.reshape(output.shape) if depends_on_z else std[0])

    def mean_and_std(self, decoded: Decoded) -> tuple[Tensor, Tensor]:
        """The mean of a Gaussian p(x|z) and its standard deviations, broadcastable to the mean.

        Raises:
            ValueError: p(x|z) is not Gaussian.
        """
        if self.kind != "gaussian":
            raise ValueError(f"likelihood '{self.vae.likelihood.name}' is not Gaussian")
        mean = self.vae.likelihood.mean(decoded.output)
        if decoded.std is not None:
            return mean, decoded.std
        return mean, mean.new_tensor(1.0 if self.variance is None else self.variance).sqrt()

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, differentiable.

        Args:
            x: scaled data, shape [N, pixel].
            z: codes of each image, shape [..., N, latent].

        Returns:
            Shape [..., N].
        """
        count = z.shape[:-1]
        decoded = self.vae.network.decode(self.parameters, z.reshape(1, -1, z.shape[-1]))
        data = x.expand(*count, x.shape[-1]).reshape(1, -1, x.shape[-1])
        likelihood = self.vae.likelihood
        if self.variance is not None:
            squared = squared_residual(likelihood, data, decoded)
            variance = squared.new_tensor(self.variance)
            found = isotropic_log_likelihood(squared, variance, x.shape[-1])
        else:
            found = pixel_log_likelihood(likelihood, data, decoded, self.vae.likelihood_parameters)
        return found.reshape(count)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) in nats, shape [...], for z of shape [..., latent]. It is differentiable."""
        flat = z.reshape(1, -1, z.shape[-1])
        return self._prior_as(z).log_density(flat).reshape(z.shape[:-1])

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) in nats, differentiable. Arguments and result as in `log_likelihood`."""
        return self.log_likelihood(x, z) + self.log_prior(z)

    def log_joint_gradient(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x, z), shape [..., N], and its gradient by z, of the shape of z."""
        with torch.enable_grad():
            at = z.detach().requires_grad_()
            value = self.log_joint(x, at)
            (gradient,) = torch.autograd.grad(value.sum(), at)
        return value.detach(), gradient

    @torch.no_grad()
    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Scaled data x ~ p(x|z), shape [N, pixel]; 0/1 under a Bernoulli likelihood.

        Raises:
            ValueError: the likelihood has no sampler here, which are those of plugins.
        """
        decoded = self.decode(z)
        if self.kind == "bernoulli":
            share = decoded.output.sigmoid()
            uniform = torch.empty_like(share).uniform_(generator=generator)
            return (uniform < share).to(share)
        mean, std = self.mean_and_std(decoded)
        return mean + std * torch.empty_like(mean).normal_(generator=generator)

    def prior_sample(self, noise: Tensor) -> Tensor:
        """Draws of z ~ p(z), of the shape of the standard normal `noise`, [N, latent]."""
        prior = self._prior_as(noise)
        if isinstance(prior, FullPrior):
            return noise @ prior.cholesky[0].mT
        return noise * prior.variance[0].sqrt()

    def in_double(self) -> Density:
        """The same with networks computed in float64."""
        parameters = {name: tensor.double() for name, tensor in self.parameters.items()}
        return replace(self, parameters=parameters, dtype=torch.float64)

    def _prior_as(self, z: Tensor) -> Prior:
        if isinstance(self.prior, FullPrior):
            return FullPrior(self.prior.cholesky.to(z))
        assert isinstance(self.prior, DiagonalPrior)
        return DiagonalPrior(self.prior.square.to(z))


def density_of(
    record: RunRecord,
    weights: Mapping[str, Tensor],
    arrays: Mapping[str, NDArray[Any]],
    device: torch.device,
) -> Density:
    """The densities of a finished run.

    Args:
        record: its metrics.json.
        weights: its trained parameters, as model.safetensors has them.
        arrays: the content of arrays.npz, which has S of the prior in force.
        device: where to compute; on a CPU for devices that lack float64.

    Raises:
        UserError: the run diverged, or its frozen T is not finite.
    """
    if record.status == "diverged":
        raise UserError(
            f"the run diverged at step {record.diverged_step}: its weights have no evidence"
        )
    if device.type == "mps":
        device = torch.device("cpu")
    vae = make_vae([record.run], arrays["samples"].shape[1:], device)
    variance = None
    if vae.likelihood.variance is not None:
        variance = record.final.likelihood_variance
        if variance is None or variance <= 0:
            raise UserError(
                f"likelihood '{vae.likelihood.name}' needs the scalar T of the training set, and "
                f"likelihood_variance in metrics.json is {variance}: train the run again"
            )
    prior: Prior
    if "prior_cholesky" in arrays:
        prior = FullPrior(torch.from_numpy(arrays["prior_cholesky"]).double()[None].to(device))
    else:
        std = torch.from_numpy(arrays["prior_std"]).double().to(device)
        prior = DiagonalPrior(std.square()[None, None])
    parameters = {name: tensor[None].to(device) for name, tensor in weights.items()}
    return Density(vae, parameters, prior, variance)
