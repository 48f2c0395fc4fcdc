"""Eqs. 19, 20 and 26 on a run: two ways to a determinant give the same."""

from __future__ import annotations

import torch
from torch import Tensor

from vaebench.equations import gap as gaps
from vaebench.evidence.gaussians import log_det
from vaebench.evidence.local import Model

OF_PIXELS, MINIMA = 5, 20
"""Images whose matrix of pixels is made, and those whose minimum over Sigma is searched."""


def determinant_errors(model: Model, z: Tensor, a: Tensor) -> dict[str, float]:
    """The largest differences, by the names of the statistics.

    Args:
        model: the run.
        z: codes of images, shape [N, latent].
        a: A of these images, float64 of shape [N, latent, latent].
    """
    of_pixels, of_codes = determinant_of_data(model, z[:OF_PIXELS])
    precision = model.precision.to(a)
    errors = []
    for one in a[:MINIMA]:
        inner = (one - precision) @ torch.linalg.inv(precision) + torch.eye(len(one)).to(one)
        expected = float(torch.linalg.slogdet(inner).logabsdet)
        errors.append(abs(gaps.minimum_over_sigma(one) + model.log_det_prior - expected))
    return {
        "eq20_error": max(errors),
        "eq26_error": float((of_pixels - of_codes).abs().max()),
    }


def determinant_of_data(model: Model, z: Tensor) -> tuple[Tensor, Tensor]:
    """log det(J S^2 J' + W^-1) - log det W^-1 by the matrix of pixels, and by that of codes.

    They are equal (Sylvester). Float64 of shape [N]; for a few codes only.
    """
    output, jacobian = model.decoder.with_jacobian(z)
    _, weight = model.residual(output, output)
    scaled = (jacobian * weight.sqrt().expand_as(output).unsqueeze(-2)).double()
    prior = torch.linalg.inv(model.precision)
    pixels = output.shape[-1]
    of_pixels = torch.linalg.slogdet(torch.eye(pixels).to(scaled) + scaled.mT @ prior @ scaled)
    by_codes = log_det(model.precision + scaled @ scaled.mT) + model.log_det_prior
    return of_pixels.logabsdet, by_codes
