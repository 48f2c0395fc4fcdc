"""The base class of all networks. A network computes several runs at once.

Parameters are stacked, shape [run, ...], and no operation mixes the numbers of two runs. Data are
flat, shape [run, batch, pixel]. A pixel is one coordinate of an image: a colour image has three for
each point.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vaebench.core.conditioning import Mask
from vaebench.core.posterior import (
    FAMILIES,
    SOFTPLUS_IS_ONE,
    DiagonalPosterior,
    Family,
    Posterior,
)
from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.families import POSTERIORS
from vaebench.likelihoods import LIKELIHOODS, Decoded
from vaebench.numerics.kernels import Layer
from vaebench.objectives import OBJECTIVES

Parameters = dict[str, Tensor]

COORDINATE_STD, LEAST_COORDINATE_STD = 1e-2, 1e-8
"""The initial value and the lower bound of a learned standard deviation of each coordinate."""


@dataclass(frozen=True)
class Network(ABC):
    """The network of a pack: its shape, and those settings of its runs that its formulas need."""

    images_at_once: ClassVar[int]
    """The number of images in a block of evaluation."""
    output_of_one: ClassVar[float] = SOFTPLUS_IS_ONE
    """The output of a layer of which `positive` makes 1."""

    image_shape: tuple[int, ...]
    """[height, width] or [height, width, colour]."""
    latent_dim: int
    family: Family
    """How the encoder gives the posterior."""
    family_settings: Mapping[str, Tensor]
    """The settings of the family of posteriors, each of shape [run, 1, 1]."""
    likelihood_std: Literal["none", "pixel", "shared", "coordinate"]
    """Which standard deviation of p(x|z) the decoder learns, see `Decoded.std`."""
    latent_scale: Tensor
    """c, shape [run, 1, 1]."""
    shared: Settings
    """The settings of the first run. The other runs differ from it only in the packed axes."""
    mask: Mask | None = None
    """Which pixels are observed. None if images are modelled as a whole."""

    @classmethod
    def of(
        cls, runs: Sequence[Settings], image_shape: tuple[int, ...], device: torch.device
    ) -> Self:
        """The network of a pack, whose runs may differ only in the packed axes.

        Raises:
            UserError: the mask of observed pixels does not fit the images.
        """
        shared = runs[0]
        posterior = shared.posterior_family
        parts, observed = OBJECTIVES[shared.objective].conditioning, shared.get("observed")
        return cls(
            image_shape=tuple(image_shape),
            latent_dim=shared.latent_dim,
            family=FAMILIES[posterior],
            family_settings={
                name: per_run([run.get(name) for run in runs], device)
                for name in POSTERIORS[posterior].parameters
            },
            likelihood_std=LIKELIHOODS[shared.likelihood].std,
            latent_scale=per_run([r.latent_scale for r in runs], device),
            shared=shared,
            mask=None if parts is None else Mask.of(parts, observed, image_shape, device),
        )

    @property
    def pixels(self) -> int:
        """The number of coordinates of an image."""
        return prod(self.image_shape)

    @property
    def predicted(self) -> int:
        """The number of data dimensions m that the likelihood covers: all pixels, or the hidden."""
        return self.pixels if self.mask is None else len(self.mask.hidden)

    @abstractmethod
    def layers(self, runs: Sequence[Settings]) -> Parameters:
        """The initial weights and biases of every layer, on the CPU, each of shape [run, ...]."""

    @abstractmethod
    def encode(self, parameters: Parameters, x: Tensor) -> Posterior:
        """q(z|x) of data x of shape [run, batch, pixel]."""

    @abstractmethod
    def decode(self, parameters: Parameters, z: Tensor) -> Decoded:
        """The decoder's outputs for z of shape [run, batch, latent]."""

    def complete(self, parameters: Parameters, z: Tensor, seen: Tensor) -> Decoded:  # noqa: ARG002
        """The outputs of a conditional model's decoder for the hidden pixels.

        Args:
            parameters: stacked.
            z: shape [run, batch, latent], in the coordinates of the encoder, not of the prior.
            seen: the observed pixels, shape [run, batch, observed]. Whether the decoder uses z and
                these is in `mask.parts`.
        """
        raise UserError(f"network '{self.shared.network}' has no `complete`: it is not conditional")

    def prior(self, parameters: Parameters, seen: Tensor) -> DiagonalPosterior:  # noqa: ARG002
        """p(z|x) of observed pixels of shape [run, batch, observed], if it is learned."""
        raise UserError(f"network '{self.shared.network}' has no `prior`: it is not conditional")

    def positive(self, raw: Tensor) -> Tensor:
        """Standard deviations of the posterior, without the factor c, from outputs of a layer."""
        return softplus(raw)

    def posterior(self, parameters: Parameters, mean: Tensor, raw: Sequence[Tensor]) -> Posterior:
        """q(z|x) of a batch.

        Args:
            parameters: stacked.
            mean: the outputs of the encoder's layer `mean`, shape [run, batch, latent].
            raw: those of the layers that `heads` names, in order, each of shape [run, batch, size].
        """
        own = {**parameters, **self.family_settings}
        scaled = self.latent_scale * mean
        return self.family.posterior(scaled, raw, self.positive, self.latent_scale, own)

    @property
    def heads(self) -> dict[str, int]:
        """The encoder's last layers with their sizes: the mean, and what the posterior needs."""
        return {"mean": self.latent_dim} | self.family.heads(self.latent_dim)

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
                len(runs), 1, self.predicted, device=device
            )
        return self.family.initialise(
            parameters, self.latent_dim, self.family_settings, self.output_of_one
        )

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


def layer(parameters: Mapping[str, Tensor], name: str) -> Layer:
    """The stacked weight and bias of a dense layer."""
    return parameters[f"{name}.weight"], parameters[f"{name}.bias"]


def per_run(values: Sequence[Any], device: torch.device) -> Tensor:
    """A number that each run has as a setting, shape [run, 1, 1], to multiply stacked tensors."""
    return torch.tensor(list(values), device=device).view(-1, 1, 1)
