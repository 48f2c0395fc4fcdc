"""Steps on CUDA GPUs: several at a time, as a graph that is recorded once and replayed.

A step of a small network is hundreds of kernels of a few microseconds, which Python cannot start as
fast as a GPU runs them. A graph holds the same kernels in the same order, so it gives the same
numbers, and one call starts it.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vaebench.training.pack import Pack, TrainingState
from vaebench.training.step import Steps, step

STEPS_A_REPLAY = 10
"""How many steps a graph holds: enough to hide its start, few enough to stop soon when asked."""
WARM_UPS = 3
"""Replays before recording, in which libraries allocate what they must not while recorded."""


def by_graph(pack: Pack, state: TrainingState) -> Steps:
    """Steps on a GPU: whole blocks by a graph, after which it may stop, the rest one by one.

    Both read the step size from the GPU's memory, so that a step is the same by either.
    """
    device, size = pack.train_images.device, pack.shared.batch_size
    many = STEPS_A_REPLAY * size
    rows = torch.zeros(len(pack.runs), many, dtype=torch.int64, device=device)
    noise = torch.zeros(len(pack.runs), many, pack.vae.network.latent_dim, device=device)
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
        taken: list[Tensor] = []
        blocks = zip(
            all_rows.split(many, 1),
            all_noise.split(many, 1),
            # Before the first step: a copy to the GPU waits for all that was started there.
            torch.tensor(all_rates, device=device).split(STEPS_A_REPLAY),
            strict=True,
        )
        for block in blocks:
            if taken and should_stop():
                break
            if len(block[2]) < STEPS_A_REPLAY:
                taken.append(each(*block))
            else:
                for place, values in zip((rows, noise, rates), block, strict=True):
                    place.copy_(values)
                graph.replay()
                taken.append(bounds.clone())
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
