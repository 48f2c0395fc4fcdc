"""Random streams of a run. They do not depend on the process that trains it.

A stream is named by the run's seed, a purpose and an index, which is an epoch or the name of a
tensor. It is always drawn from its beginning. Therefore:

- there is no generator state to save;
- an additional tensor does not change the numbers of the others;
- a run has the same streams alone and in a pack;
- runs of different objectives with the same seed have the same streams, so they can be paired.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Purpose = Literal["weights", "order", "noise", "evaluation", "samples", "objective", "pixels"]


def generator(
    seed: int, purpose: Purpose, index: int | str, device: torch.device | str = "cpu"
) -> torch.Generator:
    """The stream with this name on a device.

    The same name gives other numbers on another kind of device.
    """
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


def bernoulli(seeds: Sequence[int], purpose: Purpose, index: int | str, share: Tensor) -> Tensor:
    """Draws of 0 and 1 for each run. 1 has the probability `share`, of shape [run, ...]."""
    draws = torch.empty_like(share)
    for row, seed in zip(draws, seeds, strict=True):
        row.uniform_(generator=generator(seed, purpose, index, share.device))
    return (draws < share).to(share)


def order(seeds: Sequence[int], epoch: int, examples: int) -> Tensor:
    """The order of the training set in an epoch: a permutation of each run, int64 [run, examples].

    It is drawn on the CPU, so it is the same for every device.
    """
    rows = [torch.randperm(examples, generator=generator(s, "order", epoch)) for s in seeds]
    return torch.stack(rows)


def glorot_uniform(
    seed: int, name: str, shape: tuple[int, ...], fan_in: int, fan_out: int
) -> Tensor:
    """Uniform initial weights (Glorot and Bengio, 2010), drawn on the CPU."""
    limit = (6 / (fan_in + fan_out)) ** 0.5
    weights = torch.empty(shape)
    return weights.uniform_(-limit, limit, generator=generator(seed, "weights", name))
