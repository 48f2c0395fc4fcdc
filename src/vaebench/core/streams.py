"""Random streams that belong to a run, not to the process that trains it.

A stream is named by the run's seed, a purpose and an index (an epoch, or a tensor's name), and is
drawn from its beginning each time. So there is no generator state to save, an extra tensor shifts
no other, a run has the same streams alone or packed, and objectives are paired by seed.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Purpose = Literal["weights", "order", "noise", "evaluation", "samples"]


def generator(
    seed: int, purpose: Purpose, index: int | str, device: torch.device | str = "cpu"
) -> torch.Generator:
    """The stream of that name on a device; streams of one name differ between kinds of device."""
    key = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(key[:8], "big", signed=True))


def normal(
    seeds: Sequence[int],
    purpose: Purpose,
    index: int | str,
    shape: tuple[int, ...],
    device: torch.device,
) -> Tensor:
    """Standard normal draws of each run, stacked: shape [run, *shape]."""
    draws = torch.empty(len(seeds), *shape, device=device)
    for row, seed in zip(draws, seeds, strict=True):
        row.normal_(generator=generator(seed, purpose, index, device))
    return draws


def order(seeds: Sequence[int], epoch: int, examples: int) -> Tensor:
    """Each run's permutation of the training set in an epoch: int64 of shape [run, examples].

    Drawn on the CPU, so that the data order is the same on every device.
    """
    rows = [torch.randperm(examples, generator=generator(s, "order", epoch)) for s in seeds]
    return torch.stack(rows)


def glorot_uniform(
    seed: int, name: str, shape: tuple[int, ...], fan_in: int, fan_out: int
) -> Tensor:
    """Glorot and Bengio's uniform initial weights, drawn on the CPU."""
    limit = (6 / (fan_in + fan_out)) ** 0.5
    weights = torch.empty(shape)
    return weights.uniform_(-limit, limit, generator=generator(seed, "weights", name))
