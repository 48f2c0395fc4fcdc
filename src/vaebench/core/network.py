"""What all networks share: many runs at once, and the settings that enter their formulas.

Parameters are stacked, [run, ...], and a run's numbers never meet another's. Data are flat,
[run, batch, pixel], where a pixel is one coordinate of an image, colours included.
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

from vaebench.core.kernels import Layer
from vaebench.experiment.settings import Settings
from vaebench.likelihoods import LIKELIHOODS, Decoded
from vaebench.objectives import OBJECTIVES, Posterior

Parameters = dict[str, Tensor]

SOFTPLUS_IS_ONE = log(expm1(1))
COORDINATE_STD, LEAST_COORDINATE_STD = 1e-2, 1e-8
"""Where a learned standard deviation of each coordinate starts, and what it never falls below."""


@dataclass(frozen=True)
class Network(ABC):
    """The shape of a pack's network and the settings of its runs that enter its formulas."""

    images_at_once: ClassVar[int]
    """How many images are evaluated together."""

    image_shape: tuple[int, ...]
    """[height, width] or [height, width, colour]."""
    latent_dim: int
    learns_std: bool
    """Whether the encoder has a head for the posterior's standard deviation."""
    likelihood_std: Literal["none", "pixel", "shared", "coordinate"]
    """Which standard deviation of p(x|z) the decoder learns, see `Decoded.std`."""
    posterior_std: Tensor | None
    """Shape [run, 1, 1], where the posterior is constant."""
    latent_scale: Tensor
    """c, shape [run, 1, 1]."""
    data_scale: Tensor | None
    """lambda, shape [run, 1, 1], where the likelihood takes it."""
    tau: Tensor | None
    """Shape [run, 1], where the likelihood takes it."""
    shared: Settings
    """The settings of the first run. The other runs have the same but for the packed axes."""

    @classmethod
    def of(
        cls, runs: Sequence[Settings], image_shape: tuple[int, ...], device: torch.device
    ) -> Self:
        """The network of a pack; its runs must agree in everything but the packed axes."""
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
        """m, the number of data dimensions."""
        return prod(self.image_shape)

    @abstractmethod
    def layers(self, runs: Sequence[Settings]) -> Parameters:
        """Initial weights and biases of every layer, on the CPU, each of shape [run, ...]."""

    @abstractmethod
    def encode(self, parameters: Parameters, x: Tensor) -> Posterior:
        """q(z|x) of data x of shape [run, batch, pixel]."""

    @abstractmethod
    def decode(self, parameters: Parameters, z: Tensor) -> Decoded:
        """The decoder's outputs for z of shape [run, batch, latent]."""

    def initialise(self, runs: Sequence[Settings], device: torch.device) -> Parameters:
        """All parameters before the first step.

        A shared standard deviation of p(x|z), `decoder.shared_std`, starts at 1; one of each
        coordinate, `decoder.coordinate_std`, at 0.01.
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
        """For the numbers that layers are computed in; tf32 is a mode of the process (pack.py).

        Without its cache of converted weights, which a recorded step would not fill again.
        """
        if self.shared.precision != "bfloat16":
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)

    def common_std(self, parameters: Parameters) -> Tensor | None:
        """The standard deviation of p(x|z) where it does not depend on z, see `Decoded.std`."""
        if self.likelihood_std == "shared":
            return softplus(parameters["decoder.shared_std"])
        if self.likelihood_std == "coordinate":
            ratio = softplus(parameters["decoder.coordinate_std"] + SOFTPLUS_IS_ONE)
            return (COORDINATE_STD - LEAST_COORDINATE_STD) * ratio + LEAST_COORDINATE_STD
        return None

    def scale(self, pixels: Tensor) -> Tensor:
        """The data x that a run sees: its data_scale times pixels in [0, 1]."""
        return pixels if self.data_scale is None else pixels * self.data_scale

    def image(self, decoder_mean: Tensor) -> Tensor:
        """Pixels in [0, 1] from means of p(x|z): undoes `scale`, and clips."""
        pixels = decoder_mean if self.data_scale is None else decoder_mean / self.data_scale
        return pixels.clamp(0, 1)

    def mse(self, squared_residual: Tensor) -> Tensor:
        """|x - nu|^2 / (m lambda^2) in the mean over a set, in units of pixels; shape [run].

        Args:
            squared_residual: |x - nu|^2 of the scaled data, shape [run, N].
        """
        scale = 1.0 if self.data_scale is None else self.data_scale[:, 0, 0].to(squared_residual)
        return squared_residual.mean(-1) / (self.pixels * scale**2)

    def log_volume(self) -> Tensor:
        """m log lambda, float64 of shape [run]: brings densities of scaled data to pixels."""
        if self.data_scale is None:
            return torch.zeros(len(self.latent_scale), dtype=torch.float64)
        return self.pixels * self.data_scale[:, 0, 0].cpu().double().log()


def layer(parameters: Mapping[str, Tensor], name: str) -> Layer:
    """The stacked weight and bias of a dense layer."""
    return parameters[f"{name}.weight"], parameters[f"{name}.bias"]


def per_run(values: Sequence[float | None], device: torch.device) -> Tensor:
    """A setting of each run, shaped [run, 1, 1] to multiply what is stacked; null is 1."""
    filled = [1.0 if value is None else value for value in values]
    return torch.tensor(filled, device=device).view(-1, 1, 1)
