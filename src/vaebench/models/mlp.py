"""The paper's MNIST network, for many runs at once.

The encoder has layers pixels-h-...-h-n and the decoder n-h-...-h-pixels, with ReLU between them. A
layer multiplies by weights of shape [run, in, out] in one batched matrix product.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vaebench.core.network import Network, Parameters, layer
from vaebench.core.posterior import Posterior
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
        for side, size, heads in (
            ("encoder", self.pixels, self.heads),
            ("decoder", self.latent_dim, {"output": self.pixels}),
        ):
            for name, units in hidden:
                shapes[f"{side}.{name}"] = (size, units)
                size = units
            for name, units in heads.items():
                shapes[f"{side}.{name}"] = (size, units)
        if self.likelihood_std == "pixel":
            shapes["decoder.std"] = (self._units, self.pixels)
        return shapes

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
        heads = ["output", "std"] if self.likelihood_std == "pixel" else ["output"]
        output, *raw = self._side(parameters, "decoder", z / self.latent_scale, heads)
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
