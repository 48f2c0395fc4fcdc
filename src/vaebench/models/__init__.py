"""The networks, one module each, and what planning has to know of them.

To add one, write a module whose class `Net` derives from `base.Network`, and register it here.
Planning reads this registry, so a network's module, and torch, are imported only to train it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from vaebench.models.base import Network
    from vaebench.settings import Settings


@dataclass(frozen=True)
class NetworkSpec:
    """A registered network; its module in this package has the same name."""

    description: str
    settings: frozenset[str]
    """The names of the settings that this network takes beside those that all runs have."""


NETWORKS: dict[str, NetworkSpec] = {
    "mlp": NetworkSpec(
        "the paper's for MNIST: dense layers",
        frozenset({"hidden_units", "hidden_layers"}),
    ),
    "conv": NetworkSpec(
        "the paper's for CelebA: convolutions of stride 2 and their transposes",
        frozenset(),
    ),
}


def make_network(
    runs: "Sequence[Settings]", image_shape: tuple[int, ...], device: "torch.device"
) -> "Network":
    """The network of a pack, whose runs must agree in everything but the packed axes.

    Args:
        runs: the settings of the pack's runs.
        image_shape: [height, width] or [height, width, colour].
        device: where it will be.

    Raises:
        UserError: the network cannot take images of this shape.
    """
    module = import_module(f"vaebench.models.{runs[0].network}")
    network: Network = module.Net.of(runs, image_shape, device)
    return network
