"""One optimisation step of a pack, see `cpu_threads` and `cuda_graph` for who takes it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vaebench.core.adam import adam_step
from vaebench.core.vae import to_pixels
from vaebench.training.pack import Pack, TrainingState

Steps = Callable[[Tensor, Tensor, Sequence[float], Callable[[], bool]], Tensor]
"""Takes optimisation steps until all are done or it should stop.

Args: the places of the steps' images in the training set, int64 of shape [run, step x batch];
standard normal noise, shape [run, step x batch, latent]; Adam's step size in each step; whether to
stop, asked between steps. Returns the objective before each step taken, in nats, [step, run].
"""


def one_by_one(pack: Pack, state: TrainingState) -> Steps:
    """Steps of all runs together, started kernel by kernel; they may stop after each."""
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
    """One optimisation step of every run; returns the objective before it, in nats, [run]."""
    images = pack.train_images.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    x = pack.vae.network.scale(to_pixels(images))
    objective = pack.vae.batch_objective(state.parameters, x, noise)
    parameters = list(state.parameters.values())
    # Runs share no parameter, so the gradient of the sum is each run's own.
    gradients = torch.autograd.grad(objective.sum(), parameters)
    adam_step(parameters, gradients, state.moments, rate)
    return objective.detach()
