"""The decoder of dense layers: its outputs and its Jacobian as products of matrices.

Between its kinks a network of ReLU units is linear. Its Jacobian is the product of the weights of
its layers and of diagonal matrices of zeros and ones, which say which units are on:
J = W_out D_k W_k ... D_1 W_1 / c, with the latent scale c. No automatic differentiation is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.network import layer
from vaebench.errors import UserError
from vaebench.evidence.density import Density
from vaebench.models import mlp

NUMBERS_AT_ONCE = 1 << 25
"""The largest Jacobian of a block of codes, in numbers."""


@dataclass(frozen=True)
class DenseDecoder:
    """The decoder of one run. Tensors have no dimension for runs."""

    hidden: tuple[tuple[Tensor, Tensor], ...]
    """Weight [in, out] and bias [out] of each hidden layer."""
    output: tuple[Tensor, Tensor]
    """Those of the last layer, whose outputs are the mean of p(x|z) or its logits."""
    latent_scale: float
    """c."""

    @property
    def at_once(self) -> int:
        """The number of codes whose Jacobians fit into a block."""
        weight = self.hidden[0][0] if self.hidden else self.output[0]
        return max(1, NUMBERS_AT_ONCE // (weight.shape[0] * self.output[0].shape[1]))

    def outputs(self, z: Tensor) -> Tensor:
        """The outputs, shape [..., pixel], for z of shape [..., latent]."""
        values = z / self.latent_scale
        for weight, bias in self.hidden:
            values = (values @ weight + bias).relu()
        return values @ self.output[0] + self.output[1]

    def with_jacobian(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs and their Jacobian.

        Args:
            z: shape [..., latent].

        Returns:
            The outputs, shape [..., pixel], and the *transposed* Jacobian J', shape
            [..., latent, pixel]. At a kink it is that of the side on which the unit is off.
        """
        values, latent = z / self.latent_scale, z.shape[-1]
        product = torch.eye(latent, dtype=z.dtype, device=z.device) / self.latent_scale
        for weight, bias in self.hidden:
            before = values @ weight + bias
            product = (product @ weight) * (before > 0).to(z.dtype).unsqueeze(-2)
            values = before.relu()
        product = product @ self.output[0]
        return values @ self.output[0] + self.output[1], product.expand(*z.shape, -1)

    def pull_back(self, z: Tensor, vectors: Tensor) -> Tensor:
        """J' v for vectors v of shape [..., pixel], without making J. Shape of z."""
        values, masks = z / self.latent_scale, []
        for weight, bias in self.hidden:
            before = values @ weight + bias
            masks.append(before > 0)
            values = before.relu()
        found = vectors @ self.output[0].T
        for (weight, _), mask in zip(reversed(self.hidden), reversed(masks), strict=True):
            found = (found * mask.to(found.dtype)) @ weight.T
        return found / self.latent_scale


def dense_decoder(density: Density) -> DenseDecoder:
    """The decoder of a run.

    Raises:
        UserError: the network is not one of dense layers.
    """
    network = density.vae.network
    if type(network) is not mlp.Net:
        raise UserError(
            f"network '{network.shared.network}': the Jacobian of its decoder is no product of "
            "dense layers and ReLU masks, as it has to be here"
        )
    count = sum(
        name.startswith("decoder.hidden") and name.endswith(".weight")
        for name in density.parameters
    )

    def one(name: str) -> tuple[Tensor, Tensor]:
        weight, bias = layer(density.parameters, f"decoder.{name}")
        return weight[0], bias[0, 0]

    hidden = tuple(one(f"hidden{k}") for k in range(1, count + 1))
    return DenseDecoder(hidden, one("output"), float(network.latent_scale[0, 0, 0]))
