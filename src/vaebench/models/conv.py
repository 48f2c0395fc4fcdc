"""The paper's CelebA network, after Barron (2017): convolutions of stride 2, for several runs.

Encoder: six 5x5 convolutions of stride 2 with 32-32-64-64-128-4n channels bring 64x64 images to
1x1; a dense layer gives n means and, where learned, n standard deviations. Decoder: six transposed
convolutions with 128-128-64-64-32-32 channels from 1x1, and a 5x5 convolution to the colours.
Leaky ReLU (0.2) after each but the last. Padding is TensorFlow's "same": before 1, after 2. Smaller
images, of 32x32 and so on, go without the layers next to the image.

The weights of a layer are stacked, [run, ...], and each run has its own convolution. Images lie in
memory with the colours together (channels last), as they do on disk: on CPUs that is faster.
"""

from collections.abc import Sequence
from math import log2

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, pad, softplus

from vaebench.core.kernels import dense
from vaebench.core.network import SOFTPLUS_IS_ONE, Network, Parameters, layer
from vaebench.core.streams import glorot_uniform
from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.likelihoods import Decoded
from vaebench.objectives import Posterior

KERNEL = 5
SLOPE = 0.2
LEAST_STD = torch.finfo(torch.float32).tiny
"""Of the posterior: its logarithm is finite."""
DOWN = (32, 32, 64, 64, 128)
"""Channels of the encoder's convolutions but for the last, which has 4n, for images of 64x64."""
UP = (128, 128, 64, 64, 32, 32)
"""Channels of the decoder's transposed convolutions, for images of 64x64."""


class Net(Network):
    """Convolutions; the setting `precision` says in which numbers they are computed."""

    images_at_once = 100

    @property
    def depth(self) -> int:
        """Convolutions of stride 2 from the image to 1x1.

        Raises:
            UserError: the images are not square, of a side of 2, 4, 8, 16, 32 or 64 pixels.
        """
        height, width = self.image_shape[:2]
        depth = round(log2(height))
        if height != width or 2**depth != height or not 1 <= depth <= len(UP):
            raise UserError(
                f"network 'conv' takes square images with a side of 2, 4, 8, 16, 32 or 64 pixels, "
                f"not {height}x{width}: choose another network or dataset"
            )
        return depth

    @property
    def colours(self) -> int:
        """Channels of an image."""
        return self.image_shape[2] if len(self.image_shape) == 3 else 1

    def shapes(self) -> dict[str, tuple[int, int]]:
        """The name, input and output channels of every convolution, in order."""
        down = [*DOWN[len(DOWN) + 1 - self.depth :], 4 * self.latent_dim]
        up = UP[: self.depth]
        shapes = {}
        for k, (size, channels) in enumerate(zip([self.colours, *down], down, strict=False), 1):
            shapes[f"encoder.down{k}"] = (size, channels)
        for k, (size, channels) in enumerate(zip([self.latent_dim, *up], up, strict=False), 1):
            shapes[f"decoder.up{k}"] = (size, channels)
        shapes["decoder.output"] = (up[-1], self.colours)
        if self.likelihood_std == "pixel":
            shapes["decoder.std"] = (up[-1], self.colours)
        return shapes

    def layers(self, runs: Sequence[Settings]) -> Parameters:
        """Glorot-uniform weights and zero biases.

        Kernels have the shape that torch wants, [run, out, in, 5, 5] and, transposed,
        [run, in, out, 5, 5]; dense layers as in `mlp`. The means and standard deviations of the
        posterior are drawn as the one layer of 2n outputs that they are together.
        """
        parameters = {}
        for name, (inputs, outputs) in self.shapes().items():
            channels = (inputs, outputs) if ".up" in name else (outputs, inputs)
            shape, area = (*channels, KERNEL, KERNEL), KERNEL**2
            weights = [
                glorot_uniform(run.seed, name, shape, area * inputs, area * outputs) for run in runs
            ]
            parameters[f"{name}.weight"] = torch.stack(weights)
            parameters[f"{name}.bias"] = torch.zeros(len(runs), outputs)
        for head in ("mean", "std") if self.learns_std else ("mean",):
            name, inputs, outputs = f"encoder.{head}", 4 * self.latent_dim, self.latent_dim
            weights = [
                glorot_uniform(run.seed, name, (inputs, outputs), inputs, 2 * outputs)
                for run in runs
            ]
            parameters[f"{name}.weight"] = torch.stack(weights)
            parameters[f"{name}.bias"] = torch.zeros(len(runs), 1, self.latent_dim)
        return parameters

    def encode(self, parameters: Parameters, x: Tensor) -> Posterior:
        """q(z|x) of data x of shape [run, batch, pixel]; the network sees 2x - 1.

        The std is softplus(raw + softplus^-1(1)) of the head: 1 where it puts out 0. It is kept
        from underflow: in the first hundred steps, with a likelihood whose std starts at 0.01,
        single images reach it, and the logarithm of 0 would end the run.
        """
        shape = (*self.image_shape[:2], self.colours)
        images = (2 * x - 1).unflatten(-1, shape).permute(0, 1, 4, 2, 3)
        with self.autocast(x.device):
            codes = [
                self._down(own, of_run)
                for own, of_run in zip(each_run(parameters), images, strict=True)
            ]
        hidden = torch.stack(codes).to(x.dtype)
        heads = ["mean", "std"] if self.learns_std else ["mean"]
        layers = [layer(parameters, f"encoder.{head}") for head in heads]
        mean, *raw = dense(hidden, [], layers)
        mean = self.latent_scale * mean
        if self.posterior_std is not None:
            return Posterior(mean, self.posterior_std)
        std = softplus(raw[0] + SOFTPLUS_IS_ONE).clamp_min(LEAST_STD)
        return Posterior(mean, self.latent_scale * std)

    def decode(self, parameters: Parameters, z: Tensor) -> Decoded:
        """The decoder's outputs for z of shape [run, batch, latent]."""
        outputs, stds = [], []
        with self.autocast(z.device):
            for own, of_run in zip(each_run(parameters), z / self.latent_scale, strict=True):
                hidden = self._up(own, of_run)
                outputs.append(_to_image(own, "decoder.output", hidden))
                if self.likelihood_std == "pixel":
                    stds.append(_to_image(own, "decoder.std", hidden))
        std = softplus(torch.stack(stds)) if stds else self.common_std(parameters)
        return Decoded(torch.stack(outputs), std)

    def _down(self, own: Parameters, images: Tensor) -> Tensor:
        """[batch, colour, height, width] to [batch, 4n]."""
        for k in range(1, self.depth + 1):
            images = leaky_relu(same_convolution(images, *_layer(own, f"encoder.down{k}")), SLOPE)
        return images.flatten(1)

    def _up(self, own: Parameters, z: Tensor) -> Tensor:
        """[batch, latent] to [batch, channel, height, width]."""
        hidden = z[:, :, None, None]
        for k in range(1, self.depth + 1):
            hidden = leaky_relu(same_transposed(hidden, *_layer(own, f"decoder.up{k}")), SLOPE)
        return hidden


def same_convolution(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 5x5 convolution of stride 2 that halves an even side, padded by 1 before and 2 after."""
    return conv2d(pad(images, (1, 2, 1, 2)), weight, bias, stride=2)


def same_transposed(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The transpose of `same_convolution`, which doubles a side: crops 1 before and 2 after."""
    # The bias apart: with it inside, the convolution takes up to three times as long on CPUs.
    cropped = conv_transpose2d(images, weight, stride=2, padding=1)[..., :-1, :-1]
    return cropped + bias[:, None, None]


def each_run(parameters: Parameters) -> list[Parameters]:
    """The parameters of each run, from stacked ones."""
    names, stacks = list(parameters), [stack.unbind() for stack in parameters.values()]
    return [dict(zip(names, own, strict=True)) for own in zip(*stacks, strict=True)]


def _to_image(own: Parameters, name: str, hidden: Tensor) -> Tensor:
    """[batch, channel, height, width] to [batch, pixel]."""
    kernel, bias = _layer(own, name)
    image = conv2d(hidden, kernel, bias, padding=KERNEL // 2)
    return image.permute(0, 2, 3, 1).flatten(1).to(bias.dtype)


def _layer(own: Parameters, name: str) -> tuple[Tensor, Tensor]:
    kernel = own[f"{name}.weight"].contiguous(memory_format=torch.channels_last)
    return kernel, own[f"{name}.bias"]
