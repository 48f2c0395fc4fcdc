"""The paper's MNIST network, for many runs at once.

The encoder has layers pixels-h-...-h-n and the decoder n-h-...-h-pixels, with ReLU between them. A
layer multiplies by weights of shape [run, in, out] in one batched matrix product. Of a conditional
model, the decoder predicts hidden pixels and may see the observed ones beside z, and the prior is a
third stack of layers, from the observed pixels to the means and standard deviations of z.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vaebench.core.network import Network, Parameters, layer
from vaebench.core.posterior import DiagonalPosterior, Posterior
from vaebench.experiment.settings import Settings
from vaebench.likelihoods import Decoded
from vaebench.numerics.kernels import dense
from vaebench.numerics.streams import glorot_uniform


class Net(Network):
    """A network of dense layers. `hidden_units` and `hidden_layers` are their size and number."""

    images_at_once = 1000

    def shapes(self) -> dict[str, tuple[int, int]]:
        """The name, inputs and outputs of every layer."""
        hidden = [(f"hidden{k}", self._units) for k in range(1, self._depth + 1)]
        shapes = {}
        for side, size, heads in self._sides():
            for name, units in hidden:
                shapes[f"{side}.{name}"] = (size, units)
                size = units
            for name, units in heads.items():
                shapes[f"{side}.{name}"] = (size, units)
        if self.likelihood_std == "pixel":
            shapes["decoder.std"] = (self._units, self.predicted)
        return shapes

    def _sides(self) -> list[tuple[str, int, dict[str, int]]]:
        """The name, inputs and last layers of each stack of layers."""
        encoder = ("encoder", self.pixels, self.heads)
        if self.mask is None:
            return [encoder, ("decoder", self.latent_dim, {"output": self.pixels})]
        parts, observed = self.mask.parts, len(self.mask.observed)
        inputs = parts.latent * self.latent_dim + parts.decoder * observed
        sides = [encoder] if parts.latent else []
        sides.append(("decoder", inputs, {"output": self.predicted}))
        if parts.prior:
            sides.append(("prior", observed, {"mean": self.latent_dim, "std": self.latent_dim}))
        return sides

    def layers(self, runs: Sequence[Settings]) -> Parameters:
        """Glorot-uniform weights [run, in, out] and zero biases [run, 1, out]."""
        parameters = {}
        for name, shape in self.shapes().items():
            weights = [glorot_uniform(run.seed, name, shape, *shape) for run in runs]
            parameters[f"{name}.weight"] = torch.stack(weights)
            parameters[f"{name}.bias"] = torch.zeros(len(runs), 1, shape[1])
        return parameters

    def encode(self, parameters: Parameters, x: Tensor) -> Posterior:
        """q(z|x) of data x of shape [run, batch, pixel]."""
        mean, *raw = self._side(parameters, "encoder", x, list(self.heads))
        return self.posterior(parameters, mean, raw)

    def decode(self, parameters: Parameters, z: Tensor) -> Decoded:
        """The decoder's outputs for z of shape [run, batch, latent]."""
        return self._decoded(parameters, z / self.latent_scale)

    def complete(self, parameters: Parameters, z: Tensor, seen: Tensor) -> Decoded:
        """See `Network`. The decoder's first layer sees z and the observed pixels side by side."""
        assert self.mask is not None
        inputs = [z / self.latent_scale] if self.mask.parts.latent else []
        inputs += [seen] if self.mask.parts.decoder else []
        return self._decoded(parameters, inputs[0] if len(inputs) == 1 else torch.cat(inputs, -1))

    def prior(self, parameters: Parameters, seen: Tensor) -> DiagonalPosterior:
        """See `Network`. A stack of layers like the encoder's."""
        mean, raw = self._side(parameters, "prior", seen, ["mean", "std"])
        return DiagonalPosterior(self.latent_scale * mean, self.latent_scale * self.positive(raw))

    def _decoded(self, parameters: Parameters, inputs: Tensor) -> Decoded:
        heads = ["output", "std"] if self.likelihood_std == "pixel" else ["output"]
        output, *raw = self._side(parameters, "decoder", inputs, heads)
        return Decoded(output, softplus(raw[0]) if raw else self.common_std(parameters))

    def _side(
        self, parameters: Parameters, side: str, values: Tensor, heads: list[str]
    ) -> list[Tensor]:
        hidden = [layer(parameters, f"{side}.hidden{k}") for k in range(1, self._depth + 1)]
        last = [layer(parameters, f"{side}.{head}") for head in heads]
        with self.autocast(values.device):
            return [output.to(values.dtype) for output in dense(values, hidden, last)]

    @property
    def _units(self) -> int:
        return int(self.shared.get("hidden_units") or 0)

    @property
    def _depth(self) -> int:
        return int(self.shared.get("hidden_layers") or 0)
