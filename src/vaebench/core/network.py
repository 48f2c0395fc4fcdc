"""The base class of all networks. A network computes several runs at once.

Parameters are stacked, shape [run, ...], and no operation mixes the numbers of two runs. Data are
flat, shape [run, batch, pixel]. A pixel is one coordinate of an image: a colour image has three for
each point.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import expm1, log, prod
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vaebench.experiment.settings import Settings
from vaebench.likelihoods import LIKELIHOODS, Decoded
from vaebench.numerics.kernels import Layer
from vaebench.objectives import OBJECTIVES, Posterior

Parameters = dict[str, Tensor]

SOFTPLUS_IS_ONE = log(expm1(1))
COORDINATE_STD, LEAST_COORDINATE_STD = 1e-2, 1e-8
"""The initial value and the lower bound of a learned standard deviation of each coordinate."""


@dataclass(frozen=True)
class Network(ABC):
    """The network of a pack: its shape, and those settings of its runs that its formulas need."""

    images_at_once: ClassVar[int]
    """The number of images in a block of evaluation."""

    image_shape: tuple[int, ...]
    """[height, width] or [height, width, colour]."""
    latent_dim: int
    learns_std: bool
    """Whether the encoder has a head for the posterior's standard deviation."""
    likelihood_std: Literal["none", "pixel", "shared", "coordinate"]
    """Which standard deviation of p(x|z) the decoder learns, see `Decoded.std`."""
    posterior_std: Tensor | None
    """sigma, shape [run, 1, 1]. None if the posterior's standard deviation is learned."""
    latent_scale: Tensor
    """c, shape [run, 1, 1]."""
    data_scale: Tensor | None
    """lambda, shape [run, 1, 1]. None if the likelihood does not take it."""
    tau: Tensor | None
    """Shape [run, 1]. None if the likelihood does not take it."""
    shared: Settings
    """The settings of the first run. The other runs differ from it only in the packed axes."""

    @classmethod
    def of(
        cls, runs: Sequence[Settings], image_shape: tuple[int, ...], device: torch.device
    ) -> Self:
        """The network of a pack, whose runs may differ only in the packed axes."""
        shared = runs[0]
        learns_std = OBJECTIVES[shared.objective].posterior == "learned"
        return cls(
            image_shape=tuple(image_shape),
            latent_dim=shared.latent_dim,
            learns_std=learns_std,
            likelihood_std=LIKELIHOODS[shared.likelihood].std,
            posterior_std=None if learns_std else per_run([r.posterior_std for r in runs], device),
            latent_scale=per_run([r.latent_scale for r in runs], device),
            data_scale=None
            if shared.data_scale is None
            else per_run([r.data_scale for r in runs], device),
            tau=None if shared.tau is None else per_run([r.tau for r in runs], device)[:, :, 0],
            shared=shared,
        )

    @property
    def pixels(self) -> int:
        """The number of data dimensions m."""
        return prod(self.image_shape)

    @abstractmethod
    def layers(self, runs: Sequence[Settings]) -> Parameters:
        """The initial weights and biases of every layer, on the CPU, each of shape [run, ...]."""

    @abstractmethod
    def encode(self, parameters: Parameters, x: Tensor) -> Posterior:
        """q(z|x) of data x of shape [run, batch, pixel]."""

    @abstractmethod
    def decode(self, parameters: Parameters, z: Tensor) -> Decoded:
        """The decoder's outputs for z of shape [run, batch, latent]."""

    def initialise(self, runs: Sequence[Settings], device: torch.device) -> Parameters:
        """All parameters before the first step.

        The standard deviation of p(x|z) starts at 1 where it is shared (`decoder.shared_std`), and
        at 0.01 where each coordinate has its own (`decoder.coordinate_std`).
        """
        parameters = {name: tensor.to(device) for name, tensor in self.layers(runs).items()}
        if self.likelihood_std == "shared":
            parameters["decoder.shared_std"] = torch.full(
                (len(runs), 1, 1), SOFTPLUS_IS_ONE, device=device
            )
        elif self.likelihood_std == "coordinate":
            parameters["decoder.coordinate_std"] = torch.zeros(
                len(runs), 1, self.pixels, device=device
            )
        return parameters

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The context in which layers are computed: bfloat16 if the runs' `precision` says so.

        The precision tf32 is set for the whole process instead, see `training/pack.py`. The cache
        of converted weights is off, since a replayed CUDA graph would not refresh it.
        """
        if self.shared.precision != "bfloat16":
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)

    def common_std(self, parameters: Parameters) -> Tensor | None:
        """A learned standard deviation of p(x|z) that does not depend on z, see `Decoded.std`."""
        if self.likelihood_std == "shared":
            return softplus(parameters["decoder.shared_std"])
        if self.likelihood_std == "coordinate":
            ratio = softplus(parameters["decoder.coordinate_std"] + SOFTPLUS_IS_ONE)
            return (COORDINATE_STD - LEAST_COORDINATE_STD) * ratio + LEAST_COORDINATE_STD
        return None

    def scale(self, pixels: Tensor) -> Tensor:
        """The data x of each run: pixels in [0, 1] times its data_scale."""
        return pixels if self.data_scale is None else pixels * self.data_scale

    def image(self, decoder_mean: Tensor) -> Tensor:
        """Pixels in [0, 1] from means of p(x|z). Undoes `scale` and clips."""
        pixels = decoder_mean if self.data_scale is None else decoder_mean / self.data_scale
        return pixels.clamp(0, 1)

    def mse(self, squared_residual: Tensor) -> Tensor:
        """The mean over a set of |x - nu|^2 / (m lambda^2), in units of pixels, shape [run].

        Args:
            squared_residual: |x - nu|^2 of the scaled data, shape [run, N].
        """
        scale = 1.0 if self.data_scale is None else self.data_scale[:, 0, 0].to(squared_residual)
        return squared_residual.mean(-1) / (self.pixels * scale**2)

    def log_volume(self) -> Tensor:
        """m log lambda, float64 of shape [run].

        Added to a log density of scaled data, it gives the log density of the pixels.
        """
        if self.data_scale is None:
            return torch.zeros(len(self.latent_scale), dtype=torch.float64)
        return self.pixels * self.data_scale[:, 0, 0].cpu().double().log()


def layer(parameters: Mapping[str, Tensor], name: str) -> Layer:
    """The stacked weight and bias of a dense layer."""
    return parameters[f"{name}.weight"], parameters[f"{name}.bias"]


def per_run(values: Sequence[float | None], device: torch.device) -> Tensor:
    """One setting of all runs, shape [run, 1, 1], to multiply stacked tensors. None becomes 1."""
    filled = [1.0 if value is None else value for value in values]
    return torch.tensor(filled, device=device).view(-1, 1, 1)
