"""The registry of networks.

To add one, write a module in `models/` whose class `Net` derives from `core.network.Network`, and
register it here. Planning a workflow reads this registry. The module of a network, and torch, are
imported only to train it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkSpec:
    """A registered network. Its module in `vaebench.models` has the same name."""

    description: str
    settings: frozenset[str]
    """The names of the settings that this network takes in addition to those of all runs."""


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
