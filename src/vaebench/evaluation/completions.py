"""The additional arrays of conditional models: images completed by several draws of the prior."""

from typing import Any

import torch
from numpy.typing import NDArray

from vaebench.core.network import Parameters
from vaebench.core.vae import VAE, to_pixels
from vaebench.evaluation.pictures import to_levels
from vaebench.numerics.streams import normal

COMPLETED = 10
"""The number of test images, from the first."""
DRAWS = 4
"""The completions of each. A plain network's are all the same."""


@torch.no_grad()
def completion_arrays(
    vae: VAE, parameters: Parameters, test_images: torch.Tensor
) -> dict[str, NDArray[Any]]:
    """The arrays by name, each with a first dimension for the runs.

    - `completions`: the first test images with their hidden pixels predicted, the means of p(y|x,z)
      for 4 draws of z from the prior, uint8 of shape [image, draw, *image_shape];
    - `completed`: these images as they are, uint8 of shape [image, *image_shape];
    - `observed`: which pixels are observed, bool of shape [pixel].

    Args:
        vae: of a pack whose objective declares a conditioning.
        parameters: trained, stacked.
        test_images: levels 0..255, uint8 of shape [N, pixel].
    """
    network, mask, runs = vae.network, vae.network.mask, len(vae.seeds)
    assert mask is not None
    shown = to_pixels(test_images[:COMPLETED]).expand(runs, -1, -1)
    pixels = shown.repeat_interleave(DRAWS, 1)
    shape = (pixels.shape[1], network.latent_dim)
    z = normal(vae.seeds, "samples", "completions", shape, pixels.device)
    found = vae.decode_pixels(parameters, z, pixels).unflatten(1, (shown.shape[1], DRAWS))
    is_observed = torch.zeros(network.pixels, dtype=torch.bool)
    is_observed[mask.observed.cpu()] = True
    return {
        "completions": to_levels(found, network.image_shape),
        "completed": to_levels(shown, network.image_shape),
        "observed": is_observed.expand(runs, -1).numpy(),
    }
