"""The variational auto-encoder of a pack: its forward pass, its objective and its images.

Training takes gradients of `batch_objective`. Evaluation applies `forward` to a whole set. Figures
show results of `decode_pixels`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.log_likelihood import training_log_likelihood
from vaebench.core.network import Network, Parameters
from vaebench.likelihoods import Decoded, Likelihood
from vaebench.objectives import Objective, Posterior


@dataclass(frozen=True)
class VAE:
    """The network, the objective and the likelihood of runs that are trained together."""

    network: Network
    objective: Objective
    likelihood: Likelihood
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
        posterior = self.network.encode(parameters, x)
        z = posterior.mean + posterior.std * noise
        return posterior, self.network.decode(parameters, z)

    def batch_objective(self, parameters: Parameters, x: Tensor, noise: Tensor) -> Tensor:
        """The objective on a batch, in nats per example, shape [run]. Arguments as in `forward`."""
        posterior, decoded = self.forward(parameters, x, noise)
        log_likelihood = training_log_likelihood(
            self.likelihood, x, decoded, posterior, self.network.tau
        )
        return self.objective.bound(posterior, log_likelihood)

    @torch.no_grad()
    def decode_pixels(self, parameters: Parameters, z: Tensor) -> Tensor:
        """The means of p(x|z) as pixels in [0, 1], shape [run, N, pixel].

        Args:
            parameters: stacked.
            z: shape [run, N, latent]. It is decoded in blocks, so N may be large.
        """
        means = [
            self.network.image(
                self.likelihood.mean(self.network.decode(parameters, z[:, block]).output)
            )
            for block in blocks(z.shape[1], self.network.images_at_once)
        ]
        return torch.cat(means, 1)


def blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of `count` items, `size` at a time."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def to_pixels(levels: Tensor) -> Tensor:
    """Levels 0..255 as uint8 to pixels in [0, 1] as float32."""
    return levels.float().div_(255)
