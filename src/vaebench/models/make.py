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
        network=network_class(shared.network).of(runs, image_shape, device),
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
