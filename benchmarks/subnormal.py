"""Steps that count subnormal numbers as zero against steps that keep them, late in a training.

The paper's MNIST network on real MNIST, one run on one thread. Early in a training there are no
subnormal numbers: Adam's first moment of a weight reaches them some 800 steps after its gradient
became zero. MNIST has to be prepared (`vaebench data mnist`).
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from vaebench.data.prepared import load
from vaebench.execution.device import hold_memory
from vaebench.experiment.settings import Settings
from vaebench.numerics.subnormals import subnormals_as_zero
from vaebench.training import cpu_threads
from vaebench.training.loop import train
from vaebench.training.pack import Pack, TrainingState, init_state

CPU = torch.device("cpu")


@contextmanager
def as_they_are() -> Iterator[None]:
    """Keep subnormal numbers."""
    yield


WAYS: dict[str, Callable[[], Any]] = {"kept": as_they_are, "as zero": subnormals_as_zero}
LIKELIHOODS: dict[str, dict[str, Any]] = {
    "bernoulli": {"objective": "learned"},
    "baggins": {"objective": "bilbo", "posterior_std": 1.0, "tau": 0.2, "data_scale": 1.0},
}


def advance(pack: Pack, state: TrainingState, steps: int, way: str) -> float:
    """Take some steps in one of `WAYS`. Returns how many a second."""
    end = state.step + steps
    before = state.seconds
    with patch.object(cpu_threads, "subnormals_as_zero", WAYS[way]):
        train(pack, state, lambda: state.step >= end, lambda _: None)
    return steps / (state.seconds - before)


def are_equal(one: TrainingState, other: TrainingState) -> bool:
    """Whether two states have the same weights, to the bit."""
    return all(torch.equal(other.parameters[name], p) for name, p in one.parameters.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with prepared/")
    parser.add_argument("--latent-dim", type=int, default=100)
    parser.add_argument("--likelihood", choices=LIKELIHOODS, default="bernoulli")
    parser.add_argument("--epochs", type=int, default=10, help="trained before")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    hold_memory()
    torch.set_num_threads(1)
    run = Settings.model_validate(
        {
            "dataset": "mnist", "likelihood": options.likelihood, "latent_dim": options.latent_dim,
            "network": "mlp", "hidden_units": 200, "hidden_layers": 3, "batch_size": 300,
            "learning_rate": 0.001, "epochs": 10**6, "seed": 0, **LIKELIHOODS[options.likelihood],
        }
    )  # fmt: skip
    pack = Pack.of([run], load(options.data / "prepared", "mnist"), CPU)
    epoch = pack.steps_per_epoch
    states = {way: init_state(pack) for way in WAYS}
    for way, state in states.items():
        advance(pack, state, options.epochs * epoch, way)
    print(f"the weights of both are equal: {are_equal(*states.values())}")
    tiny = torch.finfo(torch.float32).tiny
    moments = states["kept"].moments
    all_moments = torch.cat([m.flatten() for m in moments.first + moments.second])
    share = float(((all_moments != 0) & (all_moments.abs() < tiny)).double().mean())
    print(f"after {options.epochs} epochs, {share:.1%} of Adam's moments are subnormal if kept")
    ratios = []
    for number in range(1, options.rounds + 1):
        speeds = {way: advance(pack, state, epoch, way) for way, state in states.items()}
        ratios.append(speeds["as zero"] / speeds["kept"])
        shown = ", ".join(f"{way} {speed:.1f}" for way, speed in speeds.items())
        print(f"round {number}: steps a second: {shown}; ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {median(ratios):.2f}")
    print(f"the weights of both are equal: {are_equal(*states.values())}")


if __name__ == "__main__":
    main()
