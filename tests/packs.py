"""Batches for objectives that are made of tensors, and packs that are trained for some steps."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import torch
from torch import Tensor

from vaebench.core.batch import Batch, Clock
from vaebench.core.posterior import DiagonalPosterior, Posterior
from vaebench.data.prepared import Arrays
from vaebench.experiment.settings import Settings
from vaebench.objectives import OBJECTIVES
from vaebench.training.loop import train
from vaebench.training.pack import Pack, TrainingState, init_state

MakeSettings = Callable[..., Settings]
"""The type of the fixture `settings`."""


def make_batch(
    posterior: Posterior,
    log_likelihood: Tensor,
    prior: str = "standard",
    z: Tensor | None = None,
    data_size: int = 100,
    progress: float = 1.0,
) -> Batch:
    """A batch with this posterior; z is its mean if not given; noise is that of a fixed seed."""
    z = posterior.mean if z is None else z

    def draw(name: str, shape: tuple[int, ...]) -> Tensor:
        generator = torch.Generator().manual_seed(len(name))
        return torch.randn(len(log_likelihood), *shape, dtype=z.dtype, generator=generator)

    clock = Clock(step=round(100 * progress), steps=100, steps_per_epoch=10)
    x = torch.zeros(*log_likelihood.shape, 1, dtype=log_likelihood.dtype)
    return Batch(x, posterior, z, log_likelihood, prior, data_size, clock, draw)


def bound_of(name: str, mean: Tensor, std: Tensor, log_likelihood: Tensor, **own: Any) -> Tensor:
    """A registered objective on the batch of a diagonal posterior."""
    objective = OBJECTIVES[name]
    batch = make_batch(DiagonalPosterior(mean, std), log_likelihood, objective.prior[0])
    return objective.bound(batch, **own)


def train_steps(runs: Sequence[Settings], data: Arrays, steps: int) -> tuple[Pack, TrainingState]:
    """A pack after this many steps on a CPU, or after all if it has fewer."""
    pack = Pack.of(runs, data, torch.device("cpu"))
    state = init_state(pack)
    asked = count(1)  # after each step
    train(pack, state, lambda: next(asked) >= steps, lambda _: None)
    assert state.step == min(steps, pack.steps)
    return pack, state
