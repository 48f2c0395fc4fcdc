"""Optimisation steps of a pack, one by one on CPUs, and several at a time as a CUDA graph.

A step of a small network is hundreds of kernels of a few microseconds, which Python cannot start as
fast as a GPU runs them. A graph is recorded once and replayed: the same kernels in the same order,
so the same numbers, started by one call.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vaebench.density import training_log_likelihood
from vaebench.evaluation.bounds import to_pixels
from vaebench.models.base import Parameters
from vaebench.training.adam import ascend
from vaebench.training.pack import Pack, TrainingState

STEPS_A_REPLAY = 10
"""How many steps a graph holds: enough to hide its start, few enough to stop soon when asked."""
WARM_UPS = 3
"""Replays before recording, in which libraries allocate what they must not while recorded."""

Steps = Callable[[Tensor, Tensor, Sequence[float], Callable[[], bool]], Tensor]
"""Takes optimisation steps until all are done or it should stop.

Args: the places of the steps' images in the training set, int64 of shape [run, step x batch];
standard normal noise, shape [run, step x batch, latent]; Adam's step size in each step; whether to
stop, asked now and again. Returns the objective before each step taken, in nats, [step, run].
"""


def make_steps(pack: Pack, state: TrainingState) -> Steps:
    """How to take steps of `pack` that change `state` in place."""
    return (_replayed if pack.train_images.device.type == "cuda" else eager)(pack, state)


def eager(pack: Pack, state: TrainingState) -> Steps:
    """Steps that Python starts kernel by kernel; it may stop after each."""
    size = pack.runs[0].batch_size

    def take(
        rows: Tensor, noise: Tensor, rates: Sequence[float], should_stop: Callable[[], bool]
    ) -> Tensor:
        bounds = []
        for inputs in zip(rows.split(size, 1), noise.split(size, 1), rates, strict=True):
            bounds.append(step(pack, state, *inputs))
            if should_stop():
                break
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


def _replayed(pack: Pack, state: TrainingState) -> Steps:
    """Steps on a GPU: whole blocks by a graph, after which it may stop, the rest one by one.

    Both read the step size from the GPU's memory, so that a step is the same by either.
    """
    device, size = pack.train_images.device, pack.runs[0].batch_size
    many = STEPS_A_REPLAY * size
    rows = torch.zeros(len(pack.runs), many, dtype=torch.int64, device=device)
    noise = torch.zeros(len(pack.runs), many, pack.network.latent_dim, device=device)
    rates = torch.zeros(STEPS_A_REPLAY, device=device)

    def each(rows: Tensor, noise: Tensor, rates: Tensor) -> Tensor:
        inputs = zip(rows.split(size, 1), noise.split(size, 1), rates, strict=True)
        return torch.stack([step(pack, state, *one) for one in inputs])

    graph, bounds = _record(lambda: each(rows, noise, rates), state)

    def take(
        all_rows: Tensor,
        all_noise: Tensor,
        all_rates: Sequence[float],
        should_stop: Callable[[], bool],
    ) -> Tensor:
        taken = []
        blocks = zip(
            all_rows.split(many, 1),
            all_noise.split(many, 1),
            # Before the first step: a copy to the GPU waits for all that was started there.
            torch.tensor(all_rates, device=device).split(STEPS_A_REPLAY),
            strict=True,
        )
        for block in blocks:
            if len(block[2]) < STEPS_A_REPLAY:
                taken.append(each(*block))
            else:
                for place, values in zip((rows, noise, rates), block, strict=True):
                    place.copy_(values)
                graph.replay()
                taken.append(bounds.clone())
            if should_stop():
                break
        return torch.cat(taken)

    return take


def _record(
    block: Callable[[], Tensor], state: TrainingState
) -> tuple["torch.cuda.CUDAGraph", Tensor]:
    """A graph of `block`, and the tensor that holds what it returned after each replay."""
    moments = state.moments
    tensors = [*state.parameters.values(), *moments.first, *moments.second, moments.step]
    before = [tensor.detach().clone() for tensor in tensors]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UPS):
            block()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        bounds = block()
    # Warming up trained on nothing that was asked for; recording ran nothing.
    with torch.no_grad():
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)
    return graph, bounds
