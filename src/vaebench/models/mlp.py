"""The paper's MNIST network, for many runs at once.

Encoder pixels-h-...-h-n and decoder n-h-...-h-pixels with ReLU between. Each layer is one batched
matrix product over parameters of shape [run, in, out]; a run's numbers never meet another's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import expm1, log
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vaebench.likelihoods import LIKELIHOODS, Decoded
from vaebench.objectives import OBJECTIVES, Posterior
from vaebench.settings import Settings
from vaebench.streams import glorot_uniform

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Network:
    """The shape of a pack's network and the settings of its runs that enter its formulas."""

    pixels: int
    hidden_units: int
    hidden_layers: int
    latent_dim: int
    learns_std: bool
    """Whether the encoder has a head for the posterior's standard deviation."""
    likelihood_std: Literal["none", "pixel", "shared"]
    """Which standard deviation of p(x|z) the decoder learns, see `Decoded.std`."""
    posterior_std: Tensor | None
    """Shape [run, 1, 1], where the posterior is constant."""
    latent_scale: Tensor
    """c, shape [run, 1, 1]."""
    data_scale: Tensor | None
    """lambda, shape [run, 1, 1], where the likelihood takes it."""
    tau: Tensor | None
    """Shape [run, 1], where the likelihood takes it."""

    @staticmethod
    def of(runs: Sequence[Settings], pixels: int, device: torch.device) -> "Network":
        """The network of a pack; its runs must agree in everything but the packed axes."""
        first = runs[0]
        learns_std = OBJECTIVES[first.objective].posterior == "learned"
        return Network(
            pixels=pixels,
            hidden_units=first.hidden_units,
            hidden_layers=first.hidden_layers,
            latent_dim=first.latent_dim,
            learns_std=learns_std,
            likelihood_std=LIKELIHOODS[first.likelihood].std,
            posterior_std=None if learns_std else per_run([r.posterior_std for r in runs], device),
            latent_scale=per_run([r.latent_scale for r in runs], device),
            data_scale=None
            if first.data_scale is None
            else per_run([r.data_scale for r in runs], device),
            tau=None if first.tau is None else per_run([r.tau for r in runs], device)[:, :, 0],
        )

    def layers(self) -> dict[str, tuple[int, int]]:
        """The name, inputs and outputs of every layer."""
        hidden = [(f"hidden{k}", self.hidden_units) for k in range(1, self.hidden_layers + 1)]
        shapes = {}
        for side, size, head, head_size in (
            ("encoder", self.pixels, "mean", self.latent_dim),
            ("decoder", self.latent_dim, "output", self.pixels),
        ):
            for name, units in [*hidden, (head, head_size)]:
                shapes[f"{side}.{name}"] = (size, units)
                size = units
        if self.learns_std:
            shapes["encoder.std"] = (self.hidden_units, self.latent_dim)
        if self.likelihood_std == "pixel":
            shapes["decoder.std"] = (self.hidden_units, self.pixels)
        return shapes

    def initialise(self, runs: Sequence[Settings], device: torch.device) -> Parameters:
        """Glorot-uniform weights [run, in, out] and zero biases [run, 1, out].

        A shared standard deviation of p(x|z), `decoder.shared_std`, starts at 1.
        """
        parameters = {}
        for name, (inputs, outputs) in self.layers().items():
            weights = [glorot_uniform(run.seed, name, inputs, outputs) for run in runs]
            parameters[f"{name}.weight"] = torch.stack(weights).to(device)
            parameters[f"{name}.bias"] = torch.zeros(len(runs), 1, outputs, device=device)
        if self.likelihood_std == "shared":
            softplus_is_one = log(expm1(1))
            parameters["decoder.shared_std"] = torch.full(
                (len(runs), 1, 1), softplus_is_one, device=device
            )
        return parameters

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

    def encode(self, parameters: Parameters, x: Tensor) -> Posterior:
        """q(z|x) of data x of shape [run, batch, pixel]; the std is the head's softplus."""
        hidden = self._hidden(parameters, "encoder", x)
        mean = self.latent_scale * linear(parameters, "encoder.mean", hidden)
        if self.posterior_std is not None:
            return Posterior(mean, self.posterior_std)
        return Posterior(
            mean, self.latent_scale * softplus(linear(parameters, "encoder.std", hidden))
        )

    def decode(self, parameters: Parameters, z: Tensor) -> Decoded:
        """The decoder's outputs for z of shape [run, batch, latent]."""
        hidden = self._hidden(parameters, "decoder", z / self.latent_scale)
        std = None
        if self.likelihood_std == "pixel":
            std = softplus(linear(parameters, "decoder.std", hidden))
        elif self.likelihood_std == "shared":
            std = softplus(parameters["decoder.shared_std"])
        return Decoded(linear(parameters, "decoder.output", hidden), std)

    def _hidden(self, parameters: Parameters, side: str, values: Tensor) -> Tensor:
        for k in range(1, self.hidden_layers + 1):
            values = torch.relu_(linear(parameters, f"{side}.hidden{k}", values))
        return values


def linear(parameters: Mapping[str, Tensor], name: str, values: Tensor) -> Tensor:
    """One layer of every run: [run, batch, in] to [run, batch, out]."""
    return torch.baddbmm(parameters[f"{name}.bias"], values, parameters[f"{name}.weight"])


def per_run(values: Sequence[float | None], device: torch.device) -> Tensor:
    """A setting of each run, shaped [run, 1, 1] to multiply what is stacked; null is 1."""
    filled = [1.0 if value is None else value for value in values]
    return torch.tensor(filled, device=device).view(-1, 1, 1)
