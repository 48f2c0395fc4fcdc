"""What a run on images in colour leaves besides: inputs, reconstructions, samples of two priors.

Of CelebA these show faces, so they are results for the machine that has the data: `results/` is
ignored by git.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.core.network import Parameters
from vaebench.core.streams import normal
from vaebench.core.vae import VAE, to_pixels
from vaebench.evaluation.elbo import Evaluation, fitted_prior

SHOWN = 32
MEASURED = 1000
"""Images whose variation is measured, or as many as there are test images."""


def to_levels(pixels: Tensor, image_shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Pixels in [0, 1] of shape [..., pixel] to levels 0..255 of shape [..., *image_shape]."""
    levels: NDArray[np.uint8] = (255 * pixels.nan_to_num()).round().to(torch.uint8).cpu().numpy()
    return levels.reshape(*levels.shape[:-1], *image_shape)


def picture_arrays(
    vae: VAE,
    parameters: Parameters,
    train: Evaluation,
    test: Evaluation,
    test_images: Tensor,
) -> dict[str, NDArray[Any]]:
    """Arrays with a first dimension for the runs.

    `inputs`, the first 32 test images, `reconstructions` from their posterior means, and
    `fitted_samples`, images of z from the prior N(0, S^2) that fits the training set (Eq. 4), also
    where the prior that was trained with is N(0, I): uint8 [32, height, width, colour].
    `fitted_prior_std`, its S, [latent]. `variation_inputs`, `variation_reconstructions`,
    `variation_standard` of samples from N(0, I), and `variation_fitted`: the variance of a pixel
    over up to 1,000 images, in the mean over the pixels, which lie in [0, 1].

    Args:
        vae: the pack's model.
        parameters: trained, stacked.
        train: the pack on the training set.
        test: the pack on the test set.
        test_images: uint8 of shape [N, pixel].
    """
    network, runs, device = vae.network, len(vae.seeds), test_images.device
    count = min(MEASURED, len(test_images))
    std = fitted_prior(train.posterior).sqrt().float().to(device)
    standard = normal(vae.seeds, "samples", "pictures", (count, network.latent_dim), device)
    pixels = {
        "inputs": to_pixels(test_images[:count]).expand(runs, -1, -1),
        **{
            name: vae.decode_pixels(parameters, z)
            for name, z in {
                "reconstructions": test.posterior.mean[:, :count].to(device),
                "standard": standard,
                "fitted": standard * std,
            }.items()
        },
    }
    shown = {"inputs": "inputs", "reconstructions": "reconstructions", "fitted_samples": "fitted"}
    return {
        **{k: to_levels(pixels[v][:, :SHOWN], network.image_shape) for k, v in shown.items()},
        "fitted_prior_std": std[:, 0].cpu().numpy(),
        **{
            f"variation_{name}": values.var(1, correction=0).mean(-1).cpu().numpy()
            for name, values in pixels.items()
        },
    }
