"""The arrays of a run's equations that figures are drawn from.

- `log_p`, `elbo`, `gap`, `gap_predicted` of each test image, float32 of shape [N];
- `ratio` and `ratio_initial`: Sigma_jj A_jj with the averaged A, float32 of shape [N, latent], and
  `active`, which dimensions are active;
- for two latent dimensions, `closed_manifold` and `network_manifold`: images of the closed-form
  decoder and of the network, uint8 of shape [144, height, width], for z at the prior's quantiles
  as in `manifold` of arrays.npz;
- for two latent dimensions, of the first images: `posterior_log_joint`, log p(x, z) on a grid of
  `posterior_extent` [image, 4] (left, right, bottom, top), float32 of shape [image, G, G] with z_2
  upwards; `posterior_images`, and the encoder's `encoder_mean` and `encoder_std`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.equations.decoders import network_mean
from vaebench.equations.state import Found, Images
from vaebench.evaluation.arrays import MANIFOLD_SIDE
from vaebench.evaluation.pictures import to_levels
from vaebench.evidence.density import Density
from vaebench.evidence.local import log_likelihood, model_of

SHOWN = 6
SIDE = 121
WIDTHS = 6.0
"""Half the side of a posterior's panel, in the encoder's standard deviations."""


def arrays_of(
    density: Density,
    images: Images,
    trained: Found,
    initial: Found,
    image_shape: tuple[int, ...],
) -> dict[str, NDArray[Any]]:
    """The arrays of a run."""
    measured = trained.per_image
    found = {
        "log_p": _float(trained.log_p),
        "elbo": _float(measured.elbo),
        "gap": _float(measured.gap),
        "gap_predicted": _float(measured.gap_averaged),
        "ratio": _float(measured.ratio_averaged),
        "ratio_initial": _float(initial.per_image.ratio_averaged),
        "active": trained.active.cpu().numpy(),
    }
    if density.latent_dim != 2:
        return found
    return found | _manifolds(density, trained, image_shape) | _posteriors(density, images, trained)


def _float(values: Tensor) -> NDArray[Any]:
    return values.float().cpu().numpy()


def _manifolds(
    density: Density, trained: Found, image_shape: tuple[int, ...]
) -> dict[str, NDArray[Any]]:
    quantiles = (torch.arange(MANIFOLD_SIDE) + 0.5) / MANIFOLD_SIDE
    steps = torch.special.ndtri(quantiles.double())
    grid = torch.cartesian_prod(steps.flip(0), steps).flip(-1)
    z = (grid * density.prior.variance[0, 0].sqrt().cpu()).to(density.device, density.dtype)
    means = {"network_manifold": network_mean(model_of(density), z)}
    if trained.closed is not None:
        means["closed_manifold"] = trained.closed.mean_at(z)[0]
    return {
        name: to_levels(density.vae.to_image(mean[None].float()), image_shape)[0]
        for name, mean in means.items()
    }


def _posteriors(density: Density, images: Images, trained: Found) -> dict[str, NDArray[Any]]:
    model, q = model_of(density), trained.posteriors.rows(slice(0, SHOWN))
    steps = torch.linspace(-1, 1, SIDE, dtype=density.dtype, device=density.device)
    x = density.data(images.test[: len(q.mean)])
    joints, extents = [], []
    for k in range(len(q.mean)):
        half = WIDTHS * q.std[k]
        first, second = (q.mean[k, j] + half[j] * steps for j in range(2))
        z = torch.cartesian_prod(second, first).flip(-1)
        joint = log_likelihood(model, x[k : k + 1], z[:, None])[:, 0] + density.log_prior(z)
        joints.append(joint.reshape(SIDE, SIDE))
        extents.append(torch.stack([first[0], first[-1], second[0], second[-1]]))
    return {
        "posterior_log_joint": _float(torch.stack(joints)),
        "posterior_extent": _float(torch.stack(extents)),
        "posterior_images": np.asarray(images.test[: len(joints)]),
        "encoder_mean": _float(q.mean),
        "encoder_std": _float(q.std),
    }
