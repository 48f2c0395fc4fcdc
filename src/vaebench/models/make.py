"""Makes the model of a pack from the settings of its runs."""

from collections.abc import Sequence
from importlib import import_module

import torch

from vaebench.core.network import Network
from vaebench.core.vae import VAE
from vaebench.experiment.settings import Settings
from vaebench.likelihoods import LIKELIHOODS
from vaebench.objectives import OBJECTIVES


def make_vae(runs: Sequence[Settings], image_shape: tuple[int, ...], device: torch.device) -> VAE:
    """The model of a pack, whose runs may differ only in the packed axes.

    Args:
        runs: the settings of the pack's runs.
        image_shape: [height, width] or [height, width, colour].
        device: the device of its tensors.

    Raises:
        UserError: the network cannot take images of this shape.
    """
    shared = runs[0]
    module = import_module(f"vaebench.models.{shared.network}")
    network: Network = module.Net.of(runs, image_shape, device)
    return VAE(
        network=network,
        objective=OBJECTIVES[shared.objective],
        likelihood=LIKELIHOODS[shared.likelihood],
        seeds=tuple(run.seed for run in runs),
    )
