"""The likelihoods p(x|z) that a decoder can be trained with, one function each.

To add one, write a function and put one `@likelihood(...)` line above it. Like the objectives,
this registry is read without torch; see `objectives.py` for the shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LogLikelihood = Callable[["Tensor", "Tensor"], "Tensor"]
DecoderMean = Callable[["Tensor"], "Tensor"]


@dataclass(frozen=True)
class Likelihood:
    """A registered likelihood."""

    name: str
    log_likelihood: LogLikelihood
    mean: DecoderMean
    """The mean of p(x|z) from the decoder's output: what is shown as an image."""
    settings: frozenset[str]
    """The names of the settings that this likelihood takes beside those that all runs have."""


LIKELIHOODS: dict[str, Likelihood] = {}


def likelihood(
    *, mean: DecoderMean, settings: tuple[str, ...] = ()
) -> Callable[[LogLikelihood], LogLikelihood]:
    """Register the decorated function under its own name, with hyphens for underscores."""

    def register(log_likelihood: LogLikelihood) -> LogLikelihood:
        name = log_likelihood.__name__.replace("_", "-")
        if name in LIKELIHOODS:
            raise ValueError(f"two likelihoods are named '{name}'")
        LIKELIHOODS[name] = Likelihood(name, log_likelihood, mean, frozenset(settings))
        return log_likelihood

    return register


@likelihood(mean=lambda output: output.sigmoid())
def bernoulli(x: Tensor, output: Tensor) -> Tensor:
    """Minus the binary cross entropy with logits, on grey values.

    Not a normalised density on grey values: it is one only where x is 0 or 1.

    Args:
        x: data in [0, 1], shape [run, batch, pixel].
        output: the decoder's logits, the same shape.

    Returns:
        log p(x|z) in nats, shape [run, batch].
    """
    from torch.nn.functional import binary_cross_entropy_with_logits

    return -binary_cross_entropy_with_logits(output, x, reduction="none").sum(-1)


@likelihood(mean=lambda output: output, settings=("data_scale",))
def gaussian(x: Tensor, output: Tensor) -> Tensor:
    """The log density of N(x; output, I), the Gaussian with constant variance T = I.

    Args:
        x: scaled data, shape [run, batch, pixel].
        output: the decoder's means, the same shape.

    Returns:
        log p(x|z) in nats of the scaled data, shape [run, batch].
    """
    return -0.5 * (x.shape[-1] * math.log(2 * math.pi) + (x - output).square().sum(-1))
