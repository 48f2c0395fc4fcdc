"""One optimisation step of a pack.

`cpu_threads` and `cuda_graph` take steps on CPUs and CUDA GPUs, `one_by_one` on other devices.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vaebench.core.batch import Batch, Clock
from vaebench.core.network import Parameters
from vaebench.core.vae import to_pixels
from vaebench.numerics.adam import adam_step
from vaebench.numerics.streams import bernoulli, normal
from vaebench.numerics.weight_decay import decay
from vaebench.training.pack import Pack, TrainingState

Steps = Callable[[Tensor, Tensor, Sequence[float], int, Callable[[], bool]], Tensor]
"""A function that takes optimisation steps until all are done or training should stop.

Args:
    rows: the indices of the images in the training set, int64 of shape [run, step x batch].
    noise: standard normal, shape [run, step x draws x batch, latent].
    rates: Adam's step size in each step.
    done: the number of steps of the training before these.
    should_stop: called between steps.

Returns:
    The objective in nats before each step that was taken, shape [step, run].
"""


def one_by_one(pack: Pack, state: TrainingState) -> Steps:
    """The function that takes each step for all runs at once and changes `state` in place."""
    size = pack.shared.batch_size

    def take(
        rows: Tensor,
        noise: Tensor,
        rates: Sequence[float],
        done: int,
        should_stop: Callable[[], bool],
    ) -> Tensor:
        values: list[Tensor] = []
        batches = zip(rows.split(size, 1), noise.split(size * pack.draws, 1), rates, strict=True)
        for number, inputs in enumerate(batches, done):
            if values and should_stop():
                break
            values.append(step(pack, state, *inputs, number))
        return torch.stack(values)

    return take


Gradients = Callable[[Pack, Parameters, Tensor, Tensor, int | Tensor], Sequence[Tensor]]
"""A function that computes the objective of each run and its gradients.

Args:
    pack: the runs.
    parameters: stacked.
    pixels: of the batch, in [0, 1], shape [run, batch, pixel].
    noise: standard normal, shape [run, draws x batch, latent].
    done: the number of steps of the training before this one.

Returns:
    The objective in nats, shape [run]; the gradient of each parameter.
"""


def by_autograd(
    pack: Pack, parameters: Parameters, pixels: Tensor, noise: Tensor, done: int | Tensor
) -> list[Tensor]:
    """The `Gradients` of plain PyTorch."""
    objective = pack.vae.value(batch_of(pack, parameters, pixels, noise, done))
    # Runs share no parameters, so the gradient of the sum holds the gradient of each run.
    gradients = torch.autograd.grad(objective.sum(), list(parameters.values()))
    return [objective.detach(), *gradients]


def step(
    pack: Pack,
    state: TrainingState,
    rows: Tensor,
    noise: Tensor,
    rate: float | Tensor,
    done: int | Tensor,
    gradients: Gradients = by_autograd,
) -> Tensor:
    """Take one optimisation step of every run.

    Args:
        pack: the runs.
        state: changed in place.
        rows: the indices of the images in the training set, int64 of shape [run, batch].
        noise: standard normal, shape [run, draws x batch, latent].
        rate: Adam's step size.
        done: the number of steps before this one.
        gradients: computes the objective and its gradients.

    Returns:
        The objective before the step, in nats, shape [run].
    """
    pixels = training_pixels(pack, rows, done)
    objective, *found = gradients(pack, state.parameters, pixels, noise, done)
    if pack.shared.weight_decay is not None:
        decay(state.parameters, rate, pack.shared.weight_decay)
    adam_step(list(state.parameters.values()), found, state.moments, rate)
    return objective


def training_batch(
    pack: Pack, parameters: Parameters, rows: Tensor, noise: Tensor, done: int | Tensor
) -> Batch:
    """What the objective sees in a step. Arguments as in `step`."""
    return batch_of(pack, parameters, training_pixels(pack, rows, done), noise, done)


def training_pixels(pack: Pack, rows: Tensor, done: int | Tensor) -> Tensor:
    """The pixels of a batch in [0, 1], shape [run, batch, pixel]. Arguments as in `step`."""
    images = pack.train_images.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    pixels = to_pixels(images)
    if pack.dynamic_binarisation:
        pixels = bernoulli(pack.vae.seeds, "pixels", int(done), pixels)
    return pixels


def batch_of(
    pack: Pack, parameters: Parameters, pixels: Tensor, noise: Tensor, done: int | Tensor
) -> Batch:
    """What the objective sees of these pixels. Arguments as in `Gradients`."""

    def draw(name: str, shape: tuple[int, ...]) -> Tensor:
        return normal(pack.vae.seeds, "objective", f"{name}/{int(done)}", shape, pixels.device)

    clock = Clock(done, pack.steps, pack.steps_per_epoch)
    x = pack.vae.to_data(pixels)
    return pack.vae.batch(parameters, x, noise, len(pack.train_images), clock, draw)


def needs_step_number(pack: Pack, state: TrainingState) -> bool:
    """Whether a step draws numbers from a stream of its own, which no recorded graph can."""
    return pack.dynamic_binarisation or "noise" in asked_for(pack, state)


def asked_for(pack: Pack, state: TrainingState) -> set[str]:
    """What the objective asks for beside the batch: `noise`, `progress`. See `Batch.used`."""
    count = min(pack.shared.batch_size, len(pack.train_images))
    device = pack.train_images.device
    rows = torch.arange(count, device=device).expand(len(pack.runs), -1)
    shape = (len(pack.runs), count * pack.draws, pack.vae.network.latent_dim)
    with torch.no_grad():
        batch = training_batch(pack, state.parameters, rows, torch.zeros(shape, device=device), 0)
        pack.vae.value(batch)
    return batch.used
