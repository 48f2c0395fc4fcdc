"""Adam (Kingma and Ba, 2015) on stacked parameters, by torch's fused kernel.

`torch.optim.Adam` runs the same kernel. This module does without it, because its import loads
torch's compiler, which takes longer than the rest of a training job's start. A test compares the
results of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Moments:
    """Adam's state. Its lists are in the order of the parameters."""

    first: list[Tensor]
    second: list[Tensor]
    step: Tensor
    """The number of updates so far, a float32 scalar on the parameters' device."""

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
    """Update the parameters in place, so that the differentiated objective increases.

    Args:
        parameters: contiguous in memory.
        gradients: of the objective by each parameter. They have the shapes of the parameters and
            any memory layout.
        moments: updated in place.
        learning_rate: Adam's step size. It may be a scalar tensor on the parameters' device, which
            the kernel reads. A recorded CUDA graph can then be replayed with another step size.
    """
    moments.step.add_(1)
    torch._fused_adam_(
        parameters,
        # The kernel ignores strides: it pairs the n-th number in memory of each tensor. Gradients
        # of convolutions are in channels-last layout, so they have to be copied.
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
