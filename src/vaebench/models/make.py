"""Makes the model of a pack from the settings of its runs."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import torch

from vaebench.core.network import Network, per_run
from vaebench.core.posterior import FAMILIES
from vaebench.core.vae import VAE
from vaebench.experiment.settings import Settings
from vaebench.likelihoods import LIKELIHOODS
from vaebench.networks import NETWORKS
from vaebench.objectives import OBJECTIVES
from vaebench.parameters import Parameter

NUMBERS_AT_ONCE = 2**27
"""The most numbers of a tensor with the images, or the covariance matrices, of a block of images
that is evaluated at once: 512 MiB."""


def make_vae(runs: Sequence[Settings], image_shape: tuple[int, ...], device: torch.device) -> VAE:
    """The model of a pack, whose runs may differ only in the packed axes.

    Args:
        runs: the settings of the pack's runs.
        image_shape: [height, width] or [height, width, colour].
        device: the device of its tensors.

    Raises:
        UserError: the network, or the mask of observed pixels, cannot take images of this shape.
    """
    shared = runs[0]
    objective, likelihood = OBJECTIVES[shared.objective], LIKELIHOODS[shared.likelihood]
    scale = likelihood.data_scale
    return VAE(
        network=_in_bounds(network_class(shared.network).of(runs, image_shape, device), len(runs)),
        objective=objective,
        likelihood=likelihood,
        prior=shared.prior_family,
        # In the coordinates of a prior that depends on x, every Sigma does.
        varies=FAMILIES[shared.posterior_family].varies or objective.has_prior_network,
        objective_parameters=_values(objective.parameters, runs, device),
        likelihood_parameters=_values(
            {name: one for name, one in likelihood.parameters.items() if name != scale},
            runs,
            device,
        ),
        data_scale=None if scale is None else per_run([run.get(scale) for run in runs], device),
        draws=objective.number_of_samples(shared.given()),
        seeds=tuple(run.seed for run in runs),
    )


def network_class(name: str) -> type[Network]:
    """The class of a registered network."""
    known = NETWORKS[name].net
    found: type[Network] = known or import_module(f"vaebench.models.{name}").Net
    return found


def _in_bounds(network: Network, runs: int) -> Network:
    """A network whose blocks of evaluation have a bounded size.

    The class says how many images a block has. Of very large images, or with a full covariance
    matrix of many dimensions, this instance takes fewer.
    """
    each = max(network.pixels, network.latent_dim**2 if network.family.is_full else 0)
    fitting = max(1, NUMBERS_AT_ONCE // (runs * each))
    if fitting < network.images_at_once:
        # A variable of the class, so that its frozen instances have no field for it.
        object.__setattr__(network, "images_at_once", fitting)
    return network


def _values(
    parameters: Mapping[str, Parameter], runs: Sequence[Settings], device: torch.device
) -> dict[str, Any]:
    """The parameters as functions receive them: numbers stacked, shape [run, 1]."""
    return {
        name: per_run([run.get(name) for run in runs], device)[:, :, 0]
        if parameter.can_be_packed
        else runs[0].get(name)
        for name, parameter in parameters.items()
    }
