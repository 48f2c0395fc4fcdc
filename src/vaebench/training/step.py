"""One optimisation step of a pack.

`cpu_threads` and `cuda_graph` take steps on CPUs and CUDA GPUs, `one_by_one` on other devices.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vaebench.core.vae import to_pixels
from vaebench.numerics.adam import adam_step
from vaebench.training.pack import Pack, TrainingState

Steps = Callable[[Tensor, Tensor, Sequence[float], Callable[[], bool]], Tensor]
"""A function that takes optimisation steps until all are done or training should stop.

Args:
    rows: the indices of the images in the training set, int64 of shape [run, step x batch].
    noise: standard normal, shape [run, step x batch, latent].
    rates: Adam's step size in each step.
    should_stop: called between steps.

Returns:
    The objective in nats before each step that was taken, shape [step, run].
"""


def one_by_one(pack: Pack, state: TrainingState) -> Steps:
    """The function that takes each step for all runs at once and changes `state` in place."""
    size = pack.shared.batch_size

    def take(
        rows: Tensor, noise: Tensor, rates: Sequence[float], should_stop: Callable[[], bool]
    ) -> Tensor:
        values: list[Tensor] = []
        for inputs in zip(rows.split(size, 1), noise.split(size, 1), rates, strict=True):
            if values and should_stop():
                break
            values.append(step(pack, state, *inputs))
        return torch.stack(values)

    return take


def step(
    pack: Pack, state: TrainingState, rows: Tensor, noise: Tensor, rate: float | Tensor
) -> Tensor:
    """Take one optimisation step of every run.

    Args:
        pack: the runs.
        state: changed in place.
        rows: the indices of the images in the training set, int64 of shape [run, batch].
        noise: standard normal, shape [run, batch, latent].
        rate: Adam's step size.

    Returns:
        The objective before the step, in nats, shape [run].
    """
    images = pack.train_images.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    x = pack.vae.network.scale(to_pixels(images))
    objective = pack.vae.batch_objective(state.parameters, x, noise)
    parameters = list(state.parameters.values())
    # Runs share no parameters, so the gradient of the sum holds the gradient of each run.
    gradients = torch.autograd.grad(objective.sum(), parameters)
    adam_step(parameters, gradients, state.moments, rate)
    return objective.detach()
