"""The model of one run. The only module here that calls the VAE and its network.

Inside the VAE, tensors have a first dimension for the runs of a pack. Here it is gone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.network import Parameters
from vaebench.core.posterior import Posterior
from vaebench.core.vae import VAE, blocks
from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.models.make import make_vae


@dataclass(frozen=True)
class Model:
    """A VAE of one run, with its trained parameters on one device."""

    vae: VAE
    parameters: Parameters
    device: torch.device

    @staticmethod
    def of(
        settings: Settings,
        weights: Mapping[str, Tensor],
        image_shape: tuple[int, ...],
        device: torch.device,
    ) -> "Model":
        """The model of a run.

        Args:
            settings: the settings of the run.
            weights: its trained parameters, as model.safetensors has them.
            image_shape: [height, width] or [height, width, colour].
            device: the device that is to compute.

        Raises:
            UserError: the weights are not those of this network.
        """
        vae = make_vae([settings], image_shape, device)
        expected = vae.network.initialise([settings], torch.device("cpu"))
        shapes = {name: tuple(tensor.shape[1:]) for name, tensor in expected.items()}
        found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        if found != shapes:
            names = sorted(
                name for name in {*found, *shapes} if found.get(name) != shapes.get(name)
            )
            raise UserError(
                f"the weights are not those of network '{settings.network}' with these settings; "
                f"other shapes: {', '.join(names)}. Train the run again with this version"
            )
        return Model(vae, {name: w[None].to(device) for name, w in weights.items()}, device)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """[height, width] or [height, width, colour]."""
        return self.vae.network.image_shape

    @property
    def latent_dim(self) -> int:
        """The latent dimension n."""
        return self.vae.network.latent_dim

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of q(z|x), each of shape [N, latent], on the CPU.

        Args:
            pixels: in [0, 1], float32 of shape [N, pixel].
        """
        means, stds = [], []
        for _, posterior in self._posteriors(pixels):
            means.append(posterior.mean[0].cpu())
            # A constant standard deviation has the shape [run, 1, 1].
            stds.append(posterior.std.expand_as(posterior.mean)[0].cpu())
        return torch.cat(means), torch.cat(stds)

    @torch.no_grad()
    def draw(self, pixels: Tensor, noise: Tensor) -> Tensor:
        """One z ~ q(z|x) of each image, shape [N, latent], on the CPU.

        Args:
            pixels: in [0, 1], float32 of shape [N, pixel].
            noise: standard normal, float32 of shape [N, latent].
        """
        drawn = [
            posterior.sample(noise[None, block].to(self.device))[0].cpu()
            for block, posterior in self._posteriors(pixels)
        ]
        return torch.cat(drawn)

    def _posteriors(self, pixels: Tensor) -> Iterator[tuple[slice, Posterior]]:
        for block in blocks(len(pixels), self.vae.network.images_at_once):
            x = self.vae.to_data(pixels[None, block].to(self.device))
            given = self.vae.given(self.parameters, x)
            yield block, self.vae.encode(self.parameters, x, given)

    @property
    def is_conditional(self) -> bool:
        """Whether it predicts hidden pixels of an image from observed ones."""
        return self.vae.network.mask is not None

    def decode(self, z: Tensor, pixels: Tensor | None = None) -> Tensor:
        """The means of p(x|z) as pixels in [0, 1], shape [N, pixel], on the CPU.

        Args:
            z: float32 of shape [N, latent].
            pixels: of a conditional model, the images that it completes, float32 of shape
                [N, pixel].

        Raises:
            UserError: the model is conditional, and no images are given.
        """
        known = None if pixels is None else pixels[None].to(self.device)
        return self.vae.decode_pixels(self.parameters, z[None].to(self.device), known)[0].cpu()


def floats_prior(settings: Settings) -> bool:
    """Whether a run was trained with the floating prior N(0, S^2) of Eq. 4."""
    return settings.prior_family != "standard"
