"""What the parts of training take, kept from one version to the next.

`make benchmark-history` adds a line to `.benchmarks/` and compares with the last one there. A
machine's own history: times of other machines do not compare.
"""

from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
import torch

from vaebench.data.prepared import Arrays
from vaebench.kernels import bernoulli_log_likelihood
from vaebench.settings import Settings
from vaebench.training.device import hold_memory
from vaebench.training.loop import advance
from vaebench.training.pack import Pack, begin

Benchmark = Callable[..., object]
STEPS = 10
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    hold_memory()
    torch.set_num_threads(1)


def pack_of(latent_dim: int, runs: int, objective: str, device: torch.device = CPU) -> Pack:
    settings = [
        Settings.model_validate(
            {
                "dataset": "mnist", "likelihood": "bernoulli", "objective": objective,
                "latent_dim": latent_dim, "network": "mlp", "hidden_units": 200,
                "hidden_layers": 3, "batch_size": 300, "learning_rate": 0.001, "epochs": 10**6,
                "seed": seed,
            }
        )
        for seed in range(runs)
    ]  # fmt: skip
    levels = np.random.default_rng(0).integers(0, 256, (6000, 28, 28), dtype=np.uint8)
    labels = np.zeros(len(levels), np.uint8)
    return Pack.of(settings, Arrays(levels, labels, levels[:1000], labels[:1000]), device)


@pytest.mark.parametrize("objective", ["learned", "bilbo"])
@pytest.mark.parametrize("latent_dim", [2, 100])
@pytest.mark.parametrize("runs", [1, 5])
def test_steps(benchmark: Benchmark, latent_dim: int, runs: int, objective: str) -> None:
    pack = pack_of(latent_dim, runs, objective)
    state = begin(pack)

    def steps() -> None:
        asked = count(1)
        advance(pack, state, lambda: next(asked) >= STEPS, lambda _: None)

    benchmark(steps)


@pytest.mark.parametrize("latent_dim", [2, 100])
def test_evaluation(benchmark: Benchmark, latent_dim: int) -> None:
    pack = pack_of(latent_dim, 1, "bilbo")
    parameters = begin(pack).parameters
    benchmark(lambda: pack.evaluate(parameters, "test"))


def test_bernoulli(benchmark: Benchmark) -> None:
    x, logits = torch.rand(1, 300, 784), torch.randn(1, 300, 784).requires_grad_()
    benchmark(lambda: torch.autograd.grad(bernoulli_log_likelihood(x, logits).sum(), logits))
