"""The additional arrays of runs on colour images: inputs, reconstructions, samples of two priors.

For CelebA they show faces of people, so they must not be published. They stay in `results/`, which
git ignores.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.core.network import Parameters
from vaebench.core.vae import VAE, to_pixels
from vaebench.evaluation.elbo import Evaluation, fitted_prior
from vaebench.numerics.streams import normal

SHOWN = 32
MEASURED = 1000
"""The number of images whose variation is measured. A smaller test set is used as a whole."""


def to_levels(pixels: Tensor, image_shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Convert pixels in [0, 1], shape [..., pixel], to levels 0..255, shape [..., *image_shape]."""
    levels: NDArray[np.uint8] = (255 * pixels.nan_to_num()).round().to(torch.uint8).cpu().numpy()
    return levels.reshape(*levels.shape[:-1], *image_shape)


def picture_arrays(
    vae: VAE,
    parameters: Parameters,
    train: Evaluation,
    test: Evaluation,
    test_images: Tensor,
) -> dict[str, NDArray[Any]]:
    """The arrays by name, each with a first dimension for the runs.

    Below, "fitted prior" is the prior N(0, S^2) of Eq. 4 with S^2 of the training set. It is used
    also for runs that were trained with the prior N(0, I).

    - `inputs`: the first 32 test images, uint8 of shape [32, height, width, colour];
    - `reconstructions`: the images of their posterior means, of the same shape;
    - `fitted_samples`: the images of z from the fitted prior, of the same shape;
    - `fitted_prior_std`: S of the fitted prior, shape [latent];
    - `variation_inputs`, `variation_reconstructions`, `variation_standard` (z from N(0, I)) and
      `variation_fitted` (z from the fitted prior): the variance of a pixel in [0, 1] over up to
      1,000 images, averaged over the pixels.

    Args:
        vae: the pack's model.
        parameters: trained, stacked.
        train: the evaluation on the training set.
        test: the evaluation on the test set.
        test_images: uint8 of shape [N, pixel].
    """
    network, runs, device = vae.network, len(vae.seeds), test_images.device
    count = min(MEASURED, len(test_images))
    std = fitted_prior(train.posterior).sqrt().float().to(device)
    standard = normal(vae.seeds, "samples", "pictures", (count, network.latent_dim), device)
    inputs = to_pixels(test_images[:count]).expand(runs, -1, -1)
    pixels = {
        "inputs": inputs,
        **{
            name: vae.decode_pixels(parameters, z, None if network.mask is None else inputs)
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
