"""The variational auto-encoder of a pack: its forward pass, its objective and its images.

Training takes gradients of `batch_objective`. Evaluation applies `forward` to a whole set. Figures
show results of `decode_pixels`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaebench.core.batch import Batch, Clock, Draw, no_noise
from vaebench.core.conditioning import Given
from vaebench.core.log_likelihood import training_log_likelihood
from vaebench.core.network import Network, Parameters
from vaebench.core.posterior import DiagonalPosterior, Posterior
from vaebench.errors import UserError
from vaebench.likelihoods import Decoded, Likelihood
from vaebench.objectives import Objective


@dataclass(frozen=True)
class VAE:
    """The network, the objective and the likelihood of runs that are trained together."""

    network: Network
    objective: Objective
    likelihood: Likelihood
    prior: str
    """The name of the family of priors."""
    varies: bool
    """Whether the posterior's Sigma depends on x."""
    objective_parameters: Mapping[str, Any]
    """Numbers as tensors of shape [run, 1], whole numbers and texts as they are."""
    likelihood_parameters: Mapping[str, Any]
    """The same, without the factor on the data."""
    data_scale: Tensor | None
    """lambda, the factor on the data, shape [run, 1, 1]. None if the likelihood takes none."""
    draws: int | None
    """The number K of draws of z that the objective asks for. None: one, without a dimension."""
    seeds: tuple[int, ...]
    """The seed of each run. It names the run's random streams."""

    def forward(
        self, parameters: Parameters, x: Tensor, noise: Tensor
    ) -> tuple[Posterior, Decoded]:
        """Encode, sample, decode.

        Args:
            parameters: stacked, as `Network.initialise` makes them.
            x: scaled data, shape [run, batch, pixel].
            noise: standard normal, shape [run, batch, latent].

        Returns:
            q(z|x), and the decoder's outputs for z = mean + std * noise.
        """
        given = self.given(parameters, x)
        posterior = self.encode(parameters, x, given)
        return posterior, self.decode(parameters, posterior.sample(noise), given)

    def given(self, parameters: Parameters, x: Tensor) -> Given | None:
        """What a conditional model knows of images before their hidden pixels; else None.

        Args:
            parameters: stacked.
            x: scaled data, shape [run, batch, pixel]. Its hidden pixels are not used.
        """
        mask = self.network.mask
        if mask is None:
            return None
        seen = mask.seen(x)
        return Given(seen, self.network.prior(parameters, seen) if mask.parts.prior else None)

    def encode(self, parameters: Parameters, x: Tensor, given: Given | None) -> Posterior:
        """q(z|x) of scaled data. Of a conditional model, in the coordinates of the prior.

        Args:
            parameters: stacked.
            x: scaled data, shape [run, batch, pixel], of which a conditional model sees all.
            given: of these data, see `given`.
        """
        if given is None:
            return self.network.encode(parameters, x)
        if self.network.mask is not None and not self.network.mask.parts.latent:
            # A plain network has no codes. Its q is its prior, so that no divergence is paid.
            nothing = x.new_zeros(*x.shape[:-1], self.network.latent_dim)
            return DiagonalPosterior(nothing, torch.ones_like(nothing))
        posterior = self.network.encode(parameters, x)
        return posterior if given.prior is None else posterior.relative_to(given.prior)

    def decode(self, parameters: Parameters, z: Tensor, given: Given | None) -> Decoded:
        """The decoder's outputs, of a conditional model those for the hidden pixels.

        Args:
            parameters: stacked.
            z: shape [run, batch, latent], as `encode` gives it.
            given: of the same images, see `given`.
        """
        if given is None:
            return self.network.decode(parameters, z)
        there = z if given.prior is None else given.prior.sample(z)
        return self.network.complete(parameters, there, given.seen)

    def target(self, x: Tensor) -> Tensor:
        """The data that the likelihood covers, shape [run, batch, m]: all, or hidden pixels."""
        return x if self.network.mask is None else self.network.mask.target(x)

    def batch(
        self,
        parameters: Parameters,
        x: Tensor,
        noise: Tensor,
        data_size: int,
        clock: Clock,
        draw: Draw = no_noise,
    ) -> Batch:
        """Encode a batch, sample and decode, for the objective.

        Args:
            parameters: stacked.
            x: scaled data, shape [run, batch, pixel].
            noise: standard normal, shape [run, batch, latent], or [run, draws x batch, latent].
            data_size: the number of training images.
            clock: how far training has come.
            draw: gives further noise to the objective.
        """
        given = self.given(parameters, x)
        posterior, target = self.encode(parameters, x, given), self.target(x)
        if self.draws is None:
            z = posterior.sample(noise)
            decoded = self.decode(parameters, z, given)
            log_likelihood = training_log_likelihood(
                self.likelihood, target, decoded, posterior, self.likelihood_parameters
            )
            return Batch(x, posterior, z, log_likelihood, self.prior, data_size, clock, draw)
        # Each draw of an example is decoded like an example of its own.
        many = posterior.per_draw()
        z = many.sample(noise.unflatten(1, (self.draws, x.shape[1])))
        log_likelihood = training_log_likelihood(
            self.likelihood,
            target.repeat(1, self.draws, 1),
            self.decode(
                parameters, z.flatten(1, 2), None if given is None else given.repeated(self.draws)
            ),
            posterior,
            self.likelihood_parameters,
        ).unflatten(1, (self.draws, x.shape[1]))
        return Batch(x, many, z, log_likelihood, self.prior, data_size, clock, draw)

    def value(self, batch: Batch) -> Tensor:
        """The objective on a batch, in nats per example, shape [run]."""
        own = self.objective_parameters
        if self.draws is not None:
            own = {
                name: value.unsqueeze(-1) if isinstance(value, Tensor) else value
                for name, value in own.items()
            }
        return self.objective.bound(batch, **own)

    def to_data(self, pixels: Tensor) -> Tensor:
        """The data x of each run: pixels in [0, 1] times its factor."""
        return pixels if self.data_scale is None else pixels * self.data_scale

    def to_image(self, decoder_mean: Tensor) -> Tensor:
        """Pixels in [0, 1] from means of p(x|z). Undoes `to_data` and clips."""
        pixels = decoder_mean if self.data_scale is None else decoder_mean / self.data_scale
        return pixels.clamp(0, 1)

    def mse(self, squared_residual: Tensor) -> Tensor:
        """The mean over a set of |x - nu|^2 / (m lambda^2), in units of pixels, shape [run].

        Args:
            squared_residual: |x - nu|^2 of the scaled data, shape [run, N].
        """
        scale = 1.0 if self.data_scale is None else self.data_scale[:, 0, 0].to(squared_residual)
        return squared_residual.mean(-1) / (self.network.predicted * scale**2)

    def log_volume(self) -> Tensor:
        """m log lambda, float64 of shape [run].

        Added to a log density of scaled data, it gives the log density of the pixels.
        """
        if self.data_scale is None:
            return torch.zeros(len(self.seeds), dtype=torch.float64)
        return self.network.predicted * self.data_scale[:, 0, 0].cpu().double().log()

    @torch.no_grad()
    def decode_pixels(
        self, parameters: Parameters, z: Tensor, pixels: Tensor | None = None
    ) -> Tensor:
        """The means of p(x|z) as pixels in [0, 1], shape [run, N, pixel].

        Args:
            parameters: stacked.
            z: shape [run, N, latent]. It is decoded in blocks, so N may be large.
            pixels: of a conditional model, the images in [0, 1] that it completes, shape
                [run, N, pixel]. Their hidden pixels are not used.

        Raises:
            UserError: the model is conditional, and no images are given.
        """
        if self.network.mask is not None and pixels is None:
            raise UserError(
                f"objective '{self.objective.name}' predicts hidden pixels from observed ones: it "
                "decodes nothing without images to complete"
            )
        means = []
        for block in blocks(z.shape[1], self.network.images_at_once):
            own = None if pixels is None else pixels[:, block]
            given = None if own is None else self.given(parameters, self.to_data(own))
            decoded = self.decode(parameters, z[:, block], given)
            image = self.to_image(self.likelihood.mean(decoded.output))
            mask = self.network.mask
            means.append(image if mask is None or own is None else mask.completed(own, image))
        return torch.cat(means, 1)


def blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of `count` items, `size` at a time."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def to_pixels(levels: Tensor) -> Tensor:
    """Levels 0..255 as uint8 to pixels in [0, 1] as float32."""
    return levels.float().div_(255)
