"""log p(x|z) of a batch, for both kinds of likelihood that `likelihoods` has."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from vaebench.core.posterior import Posterior
from vaebench.likelihoods import Decoded, Likelihood, Residuals

Own = Mapping[str, Any]
"""The likelihood's own parameters: numbers as tensors of shape [run, 1], others as they are."""


def training_log_likelihood(
    likelihood: Likelihood, x: Tensor, decoded: Decoded, posterior: Posterior, own: Own
) -> Tensor:
    """log p(x|z) of each example of a batch, in nats, shape [run, batch]. It is differentiable."""
    if likelihood.log_likelihood is not None:
        return pixel_log_likelihood(likelihood, x, decoded, own)
    squared = squared_residual(likelihood, x, decoded)
    return batch_log_likelihood(likelihood, squared, x.shape[-1], information(posterior), own)


def pixel_log_likelihood(likelihood: Likelihood, x: Tensor, decoded: Decoded, own: Own) -> Tensor:
    """log p(x|z) under a likelihood that is computed from the data, in nats, shape [run, batch].

    Raises:
        ValueError: the likelihood is of the other kind.
    """
    if likelihood.log_likelihood is None:
        raise ValueError(f"likelihood '{likelihood.name}' computes a variance from a batch")
    by_pixel = {
        name: value.unsqueeze(-1) if isinstance(value, Tensor) else value
        for name, value in own.items()
    }
    return likelihood.log_likelihood(x, decoded, **by_pixel)


def batch_log_likelihood(
    likelihood: Likelihood,
    squared: Tensor,
    pixels: int,
    batch_information: Tensor | None,
    own: Own,
) -> Tensor:
    """log p(x|z) under a likelihood whose variance T is computed from the batch.

    Args:
        likelihood: one with a `variance`.
        squared: squared residuals |x - nu(z)|^2, shape [run, batch].
        pixels: the number of data dimensions m.
        batch_information: u of Eq. 28, shape [run, 1]. None if Sigma depends on x.
        own: the likelihood's own parameters.

    Returns:
        log p(x|z) in nats, shape [run, batch].

    Raises:
        ValueError: the likelihood is of the other kind.
    """
    if likelihood.variance is None:
        raise ValueError(f"likelihood '{likelihood.name}' takes no variance from a batch")
    variance = likelihood.variance(Residuals(squared, pixels, batch_information), **own)
    return isotropic_log_likelihood(squared, variance, pixels)


def isotropic_log_likelihood(squared: Tensor, variance: Tensor, pixels: int) -> Tensor:
    """log N(x; nu, T I) in nats, from |x - nu|^2 and T. Their shapes are broadcast."""
    return -0.5 * (pixels * (math.log(2 * math.pi) + variance.log()) + squared / variance)


def squared_residual(likelihood: Likelihood, x: Tensor, decoded: Decoded) -> Tensor:
    """|x - nu(z)|^2 of each example, shape [run, batch]."""
    return (x - likelihood.mean(decoded.output)).square().sum(-1)


def information(posterior: Posterior) -> Tensor | None:
    """u = tr Sigma^-1 S^2 = tr(I + Sigma^-1 M_B) of a batch, shape [run, 1].

    None if Sigma depends on x: it then differs between examples, so u has no single value.
    """
    if posterior.std.shape[-2] != 1:
        return None
    moment = posterior.mean.square().mean(-2, keepdim=True)
    return (1 + moment / posterior.std.square()).sum(-1)
