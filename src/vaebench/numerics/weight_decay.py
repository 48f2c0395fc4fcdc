"""Decoupled weight decay (Loshchilov and Hutter, 2019), which makes AdamW of Adam.

It is a step of its own before Adam's. A term in the objective would pass through Adam's moments,
which scale it by the size of the gradients.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

WEIGHT = ".weight"
"""The end of the names of those parameters that decay. Biases (`.bias`) and standard deviations
that are parameters themselves (such as `decoder.shared_std`) do not: that they are small makes no
network simpler."""


def decaying(parameters: Mapping[str, Tensor]) -> list[Tensor]:
    """The parameters that decay."""
    return [tensor for name, tensor in parameters.items() if name.endswith(WEIGHT)]


@torch.no_grad()
def decay(
    parameters: Mapping[str, Tensor], learning_rate: float | Tensor, weight_decay: float
) -> None:
    """Multiply the weights by 1 - step size x weight decay, in place, as `torch.optim.AdamW` does.

    Args:
        parameters: all of them, by name.
        learning_rate: Adam's step size in this step. It may be a scalar tensor on their device.
        weight_decay: the setting of the run.
    """
    for weights in decaying(parameters):
        weights.mul_(1 - learning_rate * weight_decay)
