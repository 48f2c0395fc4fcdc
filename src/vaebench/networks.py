"""The registry of networks.

A network of this package is a module in `models/` whose class `Net` derives from
`core.network.Network`, with a line below. A plugin puts `@network(...)` above such a class.
Planning a workflow reads this registry. The module of a network, and torch, are imported only to
train it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vaebench.errors import UserError
from vaebench.parameters import Parameter, Value, declared, from_one_file

C = TypeVar("C", bound=type[Any])


@dataclass(frozen=True)
class NetworkSpec:
    """A registered network."""

    description: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """Its own settings, such as the number of its layers. All are whole numbers or choices, since
    runs of other shapes cannot be packed."""
    net: type[Any] | None = None
    """The class of a plugin's network. None for a network of this package, whose module in
    `vaebench.models` has the network's name."""
    conditional: bool = False
    """Whether it has `complete` and `prior`, for objectives that declare a conditioning."""


NETWORKS: dict[str, NetworkSpec] = {
    "mlp": NetworkSpec(
        "the paper's for MNIST: dense layers",
        {
            "hidden_units": Parameter(
                kind=int,
                minimum=1,
                maximum=100_000,
                description="Units of each hidden layer of network mlp.",
            ),
            "hidden_layers": Parameter(
                kind=int,
                minimum=1,
                maximum=1000,
                description="Hidden layers of the encoder of network mlp, and of its decoder.",
            ),
        },
        conditional=True,
    ),
    "conv": NetworkSpec("the paper's for CelebA: convolutions of stride 2 and their transposes"),
}


def network(
    description: str,
    *,
    name: str | None = None,
    parameters: Mapping[str, Parameter | Value] | None = None,
    conditional: bool = False,
) -> Callable[[C], C]:
    """Register the decorated class, a `core.network.Network`.

    Args:
        description: one line for the command line.
        name: its name in configs. Default: the name of the class, in lower case.
        parameters: its own settings. It reads them with `self.shared.get(name)`.
        conditional: see `NetworkSpec.conditional`.
    """

    def register(net: C) -> C:
        own = name or net.__name__.lower()
        known = NETWORKS.get(own)
        if known is not None and not (known.net and from_one_file(known.net, net)):
            raise UserError(f"two networks are named '{own}': give one of them another name")
        owner = f"network '{own}'"
        own_parameters = declared(owner, parameters or {})
        NETWORKS[own] = NetworkSpec(description, own_parameters, net, conditional)
        return net

    return register
