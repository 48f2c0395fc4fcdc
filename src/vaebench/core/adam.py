"""Adam (Kingma and Ba, 2015) on stacked parameters, by torch's fused kernel.

`torch.optim.Adam` runs the same kernel, but importing it pulls in torch's compiler, which takes
longer than the rest of a training job's start. A test holds the two against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Moments:
    """Adam's state, in the order of the parameters it belongs to."""

    first: list[Tensor]
    second: list[Tensor]
    step: Tensor
    """How many updates were made, a float32 scalar on the parameters' device."""

    @staticmethod
    def zero(parameters: Sequence[Tensor]) -> "Moments":
        """The state before the first update."""
        return Moments(
            [torch.zeros_like(p, requires_grad=False) for p in parameters],
            [torch.zeros_like(p, requires_grad=False) for p in parameters],
            torch.zeros((), device=parameters[0].device),
        )


@torch.no_grad()
def adam_step(
    parameters: list[Tensor],
    gradients: tuple[Tensor, ...] | list[Tensor],
    moments: Moments,
    learning_rate: float | Tensor,
) -> None:
    """One update in place that increases what the gradients are of.

    Args:
        parameters: contiguous in memory.
        gradients: of the same shapes, in any layout.
        moments: updated in place.
        learning_rate: Adam's step size; a scalar tensor on the parameters' device is read by the
            kernel, so that a recorded update can be repeated with another.
    """
    moments.step.add_(1)
    torch._fused_adam_(
        parameters,
        # The kernel pairs numbers by their place in memory, whatever the strides say, and gradients
        # of convolutions come with the channels last.
        [gradient.contiguous() for gradient in gradients],
        moments.first,
        moments.second,
        [],
        [moments.step] * len(parameters),
        lr=learning_rate,
        beta1=BETA1,
        beta2=BETA2,
        weight_decay=0.0,
        eps=EPSILON,
        amsgrad=False,
        maximize=True,
    )
