"""The arrays of a run that figures are drawn from, such as images and codes of the test set."""

import io
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.core.network import Parameters
from vaebench.core.prior import FullPrior
from vaebench.core.vae import VAE, to_pixels
from vaebench.evaluation.completions import completion_arrays
from vaebench.evaluation.elbo import Evaluation
from vaebench.evaluation.pictures import picture_arrays, to_levels
from vaebench.numerics.streams import normal

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
    """The arrays of each run. Images are uint8, levels 0..255.

    Every run has:

    - `samples`: the images of 32 draws z ~ N(0, S^2); of a conditional model, the first 32 test
      images, completed by one draw each;
    - `prior_std`: the square root of the diagonal of S^2 of the training set, shape [latent];
    - `prior_cholesky`, if S^2 is not diagonal: its Cholesky factor, shape [latent, latent];
    - `kl`: the mean KL divergence of each latent dimension on the test set, shape [latent];
    - `posterior_std`, if it does not depend on x: shape [1, 1] or [1, latent].

    Runs with two latent dimensions also have:

    - `posterior_mean` of the test set, float16 of shape [N, 2];
    - `posterior_std` of the test set, if it depends on x, float16 of shape [N, 2];
    - `labels` of the test set, uint8 of shape [N];
    - `manifold`: the images of a grid of z at the quantiles `manifold_quantiles` of the prior. Row
      r has the r-th largest quantile as z_2, column c has the c-th smallest as z_1.

    Conditional models also have the arrays of `completions.completion_arrays`. Their codes are in
    the coordinates of the prior, and their `manifold` completes the first test image.

    Runs on colour images also have the arrays of `pictures.picture_arrays`.
    """
    network, runs = vae.network, len(vae.seeds)
    device = next(iter(parameters.values())).device
    prior_std = train.prior_variance.sqrt().float().to(device)
    draws = normal(vae.seeds, "samples", 0, (SAMPLES, network.latent_dim), device)

    def images(z: Tensor, rows: Tensor) -> NDArray[np.uint8]:
        # Of a conditional model, each z completes the test image of its row.
        known = None if network.mask is None else to_pixels(test_images[rows]).expand(runs, -1, -1)
        return to_levels(vae.decode_pixels(parameters, z, known), network.image_shape)

    first = torch.arange(SAMPLES, device=device) % len(test_images)
    stacked: dict[str, NDArray[Any]] = {
        "samples": images(train.prior.sample(draws), first),
        "prior_std": prior_std[:, 0].cpu().numpy(),
        "kl": test.kl.float().numpy(),
    }
    if isinstance(train.prior, FullPrior):
        stacked["prior_cholesky"] = train.prior.cholesky.float().numpy()
    shared: dict[str, NDArray[Any]] = {}
    if network.latent_dim == 2:
        quantiles = (torch.arange(MANIFOLD_SIDE) + 0.5) / MANIFOLD_SIDE
        # This runs on the CPU, since some kinds of device lack the normal quantile function.
        steps = torch.special.ndtri(quantiles).to(device)
        grid = torch.cartesian_prod(steps.flip(0), steps).flip(-1)
        stacked["manifold"] = images(grid * prior_std, torch.zeros_like(grid[:, 0]).long())
        stacked["posterior_mean"] = test.posterior.mean.half().cpu().numpy()
        shared = {"labels": test_labels, "manifold_quantiles": quantiles.numpy()}
    if network.latent_dim == 2 or not vae.varies:
        stacked["posterior_std"] = test.posterior.std.half().cpu().numpy()
    if network.mask is not None:
        stacked |= completion_arrays(vae, parameters, test_images)
    if len(network.image_shape) == 3:
        stacked |= picture_arrays(vae, parameters, train, test, test_images)
    return [{name: stack[k] for name, stack in stacked.items()} | shared for k in range(runs)]


def to_npz(arrays: dict[str, NDArray[Any]]) -> bytes:
    """The arrays as a compressed .npz archive. Equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
