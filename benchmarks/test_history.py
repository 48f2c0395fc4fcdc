"""What the parts of training take, kept from one version to the next.

`make benchmark-history` adds a line to `.benchmarks/` and compares with the last one there. A
machine's own history: times of other machines do not compare.
"""

from collections.abc import Callable
from itertools import count

import pytest
import torch

from packs import pack_of  # isort: skip
from vaebench.execution.device import hold_memory
from vaebench.numerics.kernels import bernoulli_log_likelihood
from vaebench.training.loop import train
from vaebench.training.pack import init_state

Benchmark = Callable[..., object]
STEPS = 10


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    hold_memory()
    torch.set_num_threads(1)


@pytest.mark.parametrize("objective", ["learned", "bilbo"])
@pytest.mark.parametrize("latent_dim", [2, 100])
@pytest.mark.parametrize("runs", [1, 5])
def test_steps(benchmark: Benchmark, latent_dim: int, runs: int, objective: str) -> None:
    pack = pack_of(latent_dim, runs, objective)
    state = init_state(pack)

    def steps() -> None:
        asked = count(1)
        train(pack, state, lambda: next(asked) >= STEPS, lambda _: None)

    benchmark(steps)


@pytest.mark.parametrize("latent_dim", [2, 100])
def test_evaluation(benchmark: Benchmark, latent_dim: int) -> None:
    pack = pack_of(latent_dim, 1, "bilbo")
    parameters = init_state(pack).parameters
    benchmark(lambda: pack.evaluate(parameters, "test"))


def test_bernoulli(benchmark: Benchmark) -> None:
    x, logits = torch.rand(1, 300, 784), torch.randn(1, 300, 784).requires_grad_()
    benchmark(lambda: torch.autograd.grad(bernoulli_log_likelihood(x, logits).sum(), logits))
