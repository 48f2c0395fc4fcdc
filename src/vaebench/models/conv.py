"""The paper's CelebA network, after Barron (2017): convolutions of stride 2, for several runs.

Encoder: six 5x5 convolutions of stride 2 with 32-32-64-64-128-4n channels reduce 64x64 images to
1x1. A dense layer then gives n means and, if they are learned, n standard deviations.

Decoder: six transposed convolutions with 128-128-64-64-32-32 channels enlarge 1x1 to 64x64. A 5x5
convolution then gives the colours.

Every layer but the last is followed by a leaky ReLU (slope 0.2). Padding is TensorFlow's "same": 1
before and 2 after. For smaller images, such as 32x32, the layers next to the image are left out.

The weights of a layer are stacked, shape [run, ...]. The convolutions of each run are computed
separately. Images are in channels-last layout, as on disk, which is faster on CPUs.
"""

from collections.abc import Sequence
from math import log2

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, pad, softplus

from vaebench.core.network import Network, Parameters, layer
from vaebench.core.posterior import SOFTPLUS_IS_ONE, Posterior
from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.likelihoods import Decoded
from vaebench.numerics.kernels import dense
from vaebench.numerics.streams import glorot_uniform

KERNEL = 5
SLOPE = 0.2
LEAST_STD = torch.finfo(torch.float32).tiny
"""The lower bound of the posterior's standard deviation. It keeps the logarithm finite."""
DOWN = (32, 32, 64, 64, 128)
"""The channels of the encoder's convolutions for 64x64 images, without the last, which has 4n."""
UP = (128, 128, 64, 64, 32, 32)
"""The channels of the decoder's transposed convolutions for 64x64 images."""


class Net(Network):
    """A convolutional network. The setting `precision` is the number format of its convolutions."""

    images_at_once = 100
    output_of_one = 0.0

    @property
    def depth(self) -> int:
        """The number of convolutions of stride 2 from the image to 1x1.

        Raises:
            UserError: the images are not square, or their side is not 2, 4, 8, 16, 32 or 64 pixels.
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
        """The number of channels of an image."""
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

        Kernels have torch's shapes: [run, out, in, 5, 5], and [run, in, out, 5, 5] for transposed
        convolutions. Dense layers have the shapes of `mlp`. The heads for the posterior's means and
        standard deviations are initialised as one layer with 2n outputs.
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
        for head, outputs in self.heads.items():
            name, inputs = f"encoder.{head}", 4 * self.latent_dim
            fan_out = 2 * outputs if head in ("mean", "std") else outputs
            weights = [
                glorot_uniform(run.seed, name, (inputs, outputs), inputs, fan_out) for run in runs
            ]
            parameters[f"{name}.weight"] = torch.stack(weights)
            parameters[f"{name}.bias"] = torch.zeros(len(runs), 1, outputs)
        return parameters

    def encode(self, parameters: Parameters, x: Tensor) -> Posterior:
        """q(z|x) of data x of shape [run, batch, pixel]. The input of the first layer is 2x - 1."""
        shape = (*self.image_shape[:2], self.colours)
        images = (2 * x - 1).unflatten(-1, shape).permute(0, 1, 4, 2, 3)
        with self.autocast(x.device):
            codes = [
                self._down(own, of_run)
                for own, of_run in zip(each_run(parameters), images, strict=True)
            ]
        hidden = torch.stack(codes).to(x.dtype)
        layers = [layer(parameters, f"encoder.{head}") for head in self.heads]
        mean, *raw = dense(hidden, [], layers)
        return self.posterior(parameters, mean, raw)

    def positive(self, raw: Tensor) -> Tensor:
        """Standard deviations of the posterior.

        The std is softplus(raw + softplus^-1(1)), where raw is the output of its head. It is 1 for
        raw = 0. It is bounded below by `LEAST_STD`: with a likelihood whose std starts at 0.01, the
        std of single images underflows to 0 in the first hundred steps, and log 0 would make the
        run diverge.
        """
        return softplus(raw + SOFTPLUS_IS_ONE).clamp_min(LEAST_STD)

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
        """The encoder's convolutions: [batch, colour, height, width] to [batch, 4n]."""
        for k in range(1, self.depth + 1):
            images = leaky_relu(same_convolution(images, *_layer(own, f"encoder.down{k}")), SLOPE)
        return images.flatten(1)

    def _up(self, own: Parameters, z: Tensor) -> Tensor:
        """The decoder's transposed convolutions: [batch, n] to [batch, channel, height, width]."""
        hidden = z[:, :, None, None]
        for k in range(1, self.depth + 1):
            hidden = leaky_relu(same_transposed(hidden, *_layer(own, f"decoder.up{k}")), SLOPE)
        return hidden


def same_convolution(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 5x5 convolution of stride 2, padded by 1 before and 2 after. It halves an even side."""
    return conv2d(pad(images, (1, 2, 1, 2)), weight, bias, stride=2)


def same_transposed(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The transpose of `same_convolution`. It doubles a side, and crops 1 before and 2 after."""
    # The bias is added separately, since with a bias the convolution takes up to three times as
    # long on CPUs.
    cropped = conv_transpose2d(images, weight, stride=2, padding=1)[..., :-1, :-1]
    return cropped + bias[:, None, None]


def each_run(parameters: Parameters) -> list[Parameters]:
    """Split stacked parameters into those of each run."""
    names, stacks = list(parameters), [stack.unbind() for stack in parameters.values()]
    return [dict(zip(names, own, strict=True)) for own in zip(*stacks, strict=True)]


def _to_image(own: Parameters, name: str, hidden: Tensor) -> Tensor:
    """Apply the last convolution: [batch, channel, height, width] to [batch, pixel]."""
    kernel, bias = _layer(own, name)
    image = conv2d(hidden, kernel, bias, padding=KERNEL // 2)
    return image.permute(0, 2, 3, 1).flatten(1).to(bias.dtype)


def _layer(own: Parameters, name: str) -> tuple[Tensor, Tensor]:
    kernel = own[f"{name}.weight"].contiguous(memory_format=torch.channels_last)
    return kernel, own[f"{name}.bias"]
