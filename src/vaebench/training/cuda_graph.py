"""Optimisation steps on CUDA GPUs: several steps are recorded once as a graph and replayed.

A step of a small network is hundreds of kernels of a few microseconds each. A GPU runs them faster
than Python can launch them. One call launches a whole graph. It holds the same kernels in the same
order, so it gives the same numbers.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vaebench.training.pack import Pack, TrainingState
from vaebench.training.step import Steps, step

STEPS_A_REPLAY = 10
"""The number of steps in a graph. More of them hide the time of its launch; fewer of them let
training stop sooner."""
WARM_UPS = 3
"""The number of times that the steps run before they are recorded. Libraries allocate memory in
their first calls, which is not allowed during recording."""


def by_graph(pack: Pack, state: TrainingState) -> Steps:
    """The function that takes steps on a GPU and changes `state` in place.

    Whole blocks of steps are replayed as a graph. The remaining steps are launched one by one.
    Training can stop between blocks. In both cases the kernels read the step size from the GPU's
    memory, so a step gives the same numbers either way.
    """
    device, size = pack.train_images.device, pack.shared.batch_size
    many = STEPS_A_REPLAY * size
    rows = torch.zeros(len(pack.runs), many, dtype=torch.int64, device=device)
    latent, draws = pack.vae.network.latent_dim, pack.draws
    noise = torch.zeros(len(pack.runs), many * draws, latent, device=device)
    rates = torch.zeros(STEPS_A_REPLAY, device=device)
    numbers = torch.zeros(STEPS_A_REPLAY, dtype=torch.int64, device=device)

    def each(rows: Tensor, noise: Tensor, rates: Tensor, numbers: Tensor) -> Tensor:
        inputs = zip(rows.split(size, 1), noise.split(size * draws, 1), rates, numbers, strict=True)
        return torch.stack([step(pack, state, *one) for one in inputs])

    graph, bounds = _record(lambda: each(rows, noise, rates, numbers), state)

    def take(
        all_rows: Tensor,
        all_noise: Tensor,
        all_rates: Sequence[float],
        done: int,
        should_stop: Callable[[], bool],
    ) -> Tensor:
        taken: list[Tensor] = []
        blocks = zip(
            all_rows.split(many, 1),
            all_noise.split(many * draws, 1),
            # Copied before the first step, since a copy to the GPU waits for all launched work.
            torch.tensor(all_rates, device=device).split(STEPS_A_REPLAY),
            torch.arange(done, done + len(all_rates), device=device).split(STEPS_A_REPLAY),
            strict=True,
        )
        for block in blocks:
            if taken and should_stop():
                break
            if len(block[2]) < STEPS_A_REPLAY:
                taken.append(each(*block))
            else:
                for place, values in zip((rows, noise, rates, numbers), block, strict=True):
                    place.copy_(values)
                graph.replay()
                taken.append(bounds.clone())
        return torch.cat(taken)

    return take


def _record(
    block: Callable[[], Tensor], state: TrainingState
) -> tuple["torch.cuda.CUDAGraph", Tensor]:
    """Record a graph of `block`.

    Returns:
        The graph, and the tensor that holds the result of `block` after each replay.
    """
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
    # The warm-ups have changed the state, so it is restored. Recording runs no kernels.
    with torch.no_grad():
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)
    return graph, bounds
