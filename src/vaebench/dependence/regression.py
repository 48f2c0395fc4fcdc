"""How well a linear regression tells codes from observed pixels, on images that it has not seen."""

import torch
from torch import Tensor

PENALTY = 1e-3
"""Of the ridge regression, as a share of the mean variance of a pixel."""


def held_out_r2(seen: Tensor, codes: Tensor, new_seen: Tensor, new_codes: Tensor) -> Tensor:
    """R^2 of each dimension of the codes, on the new images, float64 of shape [dimension].

    Args:
        seen: observed pixels of the images that are fitted, shape [N, observed].
        codes: their codes, shape [N, dimension].
        new_seen: observed pixels of other images.
        new_codes: their codes.
    """
    inputs, targets = seen.double(), codes.double()
    offset, middle = inputs.mean(0), targets.mean(0)
    centred = inputs - offset
    covariance = centred.T @ centred / len(centred)
    penalty = PENALTY * covariance.diagonal().mean().clamp_min(torch.finfo(torch.float64).tiny)
    ridge = covariance + penalty * torch.eye(len(covariance)).to(covariance)
    weights: Tensor = torch.linalg.solve(ridge, centred.T @ (targets - middle) / len(centred))
    predicted = (new_seen.double() - offset) @ weights + middle
    residual = (new_codes.double() - predicted).square().sum(0)
    total = (new_codes.double() - new_codes.double().mean(0)).square().sum(0)
    r2: Tensor = 1 - residual / total
    return r2
