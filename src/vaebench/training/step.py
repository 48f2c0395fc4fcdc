"""One optimisation step of a pack, whatever takes it: see `lanes` for CPUs, `replay` for GPUs."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vaebench.density import training_log_likelihood
from vaebench.evaluation.bounds import to_pixels
from vaebench.models.base import Parameters
from vaebench.training.adam import ascend
from vaebench.training.pack import Pack, TrainingState

Steps = Callable[[Tensor, Tensor, Sequence[float], Callable[[], bool]], Tensor]
"""Takes optimisation steps until all are done or it should stop.

Args: the places of the steps' images in the training set, int64 of shape [run, step x batch];
standard normal noise, shape [run, step x batch, latent]; Adam's step size in each step; whether to
stop, asked between steps. Returns the objective before each step taken, in nats, [step, run].
"""


def one_by_one(pack: Pack, state: TrainingState) -> Steps:
    """Steps of all runs together, started kernel by kernel; they may stop after each."""
    size = pack.runs[0].batch_size

    def take(
        rows: Tensor, noise: Tensor, rates: Sequence[float], should_stop: Callable[[], bool]
    ) -> Tensor:
        bounds: list[Tensor] = []
        for inputs in zip(rows.split(size, 1), noise.split(size, 1), rates, strict=True):
            if bounds and should_stop():
                break
            bounds.append(step(pack, state, *inputs))
        return torch.stack(bounds)

    return take


def step(
    pack: Pack, state: TrainingState, rows: Tensor, noise: Tensor, rate: float | Tensor
) -> Tensor:
    """One optimisation step of every run; returns the objective before it, in nats, [run]."""
    images = pack.train_images.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    x = pack.network.scale(to_pixels(images))
    bound = training_bound(pack, state.parameters, x, noise)
    parameters = list(state.parameters.values())
    # Runs share no parameter, so the gradient of the sum is each run's own.
    gradients = torch.autograd.grad(bound.sum(), parameters)
    ascend(parameters, gradients, state.moments, rate)
    return bound.detach()


def training_bound(pack: Pack, parameters: Parameters, x: Tensor, noise: Tensor) -> Tensor:
    """The objective on a batch, in nats per example, shape [run].

    Args:
        pack: what is trained.
        parameters: stacked, as `Network.initialise` makes them.
        x: scaled data, shape [run, batch, pixel].
        noise: standard normal, shape [run, batch, latent].
    """
    posterior = pack.network.encode(parameters, x)
    z = posterior.mean + posterior.std * noise
    decoded = pack.network.decode(parameters, z)
    log_likelihood = training_log_likelihood(
        pack.likelihood, x, decoded, posterior, pack.network.tau
    )
    return pack.objective.bound(posterior, log_likelihood)
