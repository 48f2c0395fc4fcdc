"""A run before its first step, as the same densities that a trained run has."""

from __future__ import annotations

import torch
from torch import Tensor

from vaebench.errors import UserError
from vaebench.evaluation.elbo import evaluate
from vaebench.evidence.density import Density
from vaebench.experiment.settings import Settings
from vaebench.models.make import make_vae


def untrained(
    run: Settings, train: Tensor, image_shape: tuple[int, ...], device: torch.device
) -> Density:
    """The run with its initial weights, which its seed decides.

    The prior in force and the frozen T are found as after training.

    Args:
        run: its settings.
        train: training images, uint8 of shape [N, pixel].
        image_shape: [height, width] or [height, width, colour].
        device: where to compute.

    Raises:
        UserError: the frozen T is 0.
    """
    vae = make_vae([run], image_shape, device)
    parameters = vae.network.initialise([run], device)
    found = evaluate(vae, parameters, train.to(device), "train", len(train))
    variance = None
    if vae.likelihood.variance is not None:
        variance = float(found.squared_residual.mean()) / vae.network.pixels
        if not variance > 0:
            raise UserError("the untrained network reconstructs all images, so it has no T")
    return Density(vae, parameters, found.prior, variance)
