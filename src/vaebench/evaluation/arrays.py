"""The small arrays that a run leaves for figures: images as uint8, and codes of the test set."""

import io
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.core.network import Parameters
from vaebench.core.streams import normal
from vaebench.core.vae import VAE
from vaebench.evaluation.elbo import Evaluation
from vaebench.evaluation.pictures import picture_arrays, to_levels

SAMPLES = 32
MANIFOLD_SIDE = 12


@torch.no_grad()
def run_arrays(
    vae: VAE,
    parameters: Parameters,
    train: Evaluation,
    test: Evaluation,
    test_images: Tensor,
    test_labels: NDArray[np.uint8],
) -> list[dict[str, NDArray[Any]]]:
    """The arrays of each run.

    Always: `samples`, images of z ~ N(0, S^2); `prior_std`, S of the training set, [latent]; `kl`,
    the test set's mean KL divergence of each dimension, [latent]; `posterior_std`, [1, 1] where
    constant. For two latent dimensions also: `posterior_mean` and, where learned,
    `posterior_std` of the test set, float16 of shape [N, 2]; `labels`, uint8 of shape [N];
    `manifold`, images of a grid of z at the prior's quantiles `manifold_quantiles`: row r is the
    r-th quantile of z_2 from the top, column c the c-th of z_1. For images in colour also: see
    `pictures.picture_arrays`.
    """
    network, runs = vae.network, len(vae.seeds)
    device = next(iter(parameters.values())).device
    prior_std = train.prior_variance.sqrt().float().to(device)
    draws = normal(vae.seeds, "samples", 0, (SAMPLES, network.latent_dim), device)

    def images(z: Tensor) -> NDArray[np.uint8]:
        return to_levels(vae.decode_pixels(parameters, z), network.image_shape)

    stacked: dict[str, NDArray[Any]] = {
        "samples": images(draws * prior_std),
        "prior_std": prior_std[:, 0].cpu().numpy(),
        "kl": test.kl.float().numpy(),
    }
    shared: dict[str, NDArray[Any]] = {}
    if network.latent_dim == 2:
        quantiles = (torch.arange(MANIFOLD_SIDE) + 0.5) / MANIFOLD_SIDE
        # On the CPU, since not every kind of device has the normal quantile function.
        steps = torch.special.ndtri(quantiles).to(device)
        grid = torch.cartesian_prod(steps.flip(0), steps).flip(-1)
        stacked["manifold"] = images(grid * prior_std)
        stacked["posterior_mean"] = test.posterior.mean.half().cpu().numpy()
        shared = {"labels": test_labels, "manifold_quantiles": quantiles.numpy()}
    if network.latent_dim == 2 or not network.learns_std:
        stacked["posterior_std"] = test.posterior.std.half().cpu().numpy()
    if len(network.image_shape) == 3:
        stacked |= picture_arrays(vae, parameters, train, test, test_images)
    return [{name: stack[k] for name, stack in stacked.items()} | shared for k in range(runs)]


def to_npz(arrays: dict[str, NDArray[Any]]) -> bytes:
    """A compressed .npz archive; the same bytes for the same arrays."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
