"""Draws samples of a finished run from its weights."""

from collections.abc import Mapping

import torch
from torch import Tensor

from vaebench.experiment.settings import Settings
from vaebench.models.make import make_vae
from vaebench.numerics.streams import normal

SAMPLES_AT_ONCE = 1000


def sample_images(
    run: Settings,
    weights: Mapping[str, Tensor],
    prior_std: Tensor,
    shape: tuple[int, ...],
    device: torch.device,
) -> Tensor:
    """The decoder's means for z ~ N(0, S^2), as pixels in [0, 1].

    Args:
        run: the settings of the run.
        weights: its trained parameters, without the dimension `run`.
        prior_std: S, shape [latent]; or a Cholesky factor of S^2, shape [latent, latent].
        shape: the shape of the result, [N, height, width].
        device: where to sample.
    """
    vae = make_vae([run], shape[1:], device)
    parameters = {name: tensor[None].to(device) for name, tensor in weights.items()}
    draws = normal(vae.seeds, "samples", "quality", (shape[0], len(prior_std)), device)
    scale = prior_std.to(device)
    images = [
        vae.decode_pixels(parameters, z * scale if scale.ndim == 1 else z @ scale.mT)[0]
        for z in draws.split(SAMPLES_AT_ONCE, 1)
    ]
    return torch.cat(images).view(shape)
