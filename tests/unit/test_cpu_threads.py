"""Runs side by side on CPUs: with any number of threads they end as with one."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from vaebench.data.prepared import Arrays
from vaebench.experiment.settings import Settings
from vaebench.numerics.subnormals import subnormals_as_zero
from vaebench.training import cpu_threads
from vaebench.training.loop import train
from vaebench.training.pack import Pack, TrainingState, init_state
from vaebench.training.step import step

CPU = torch.device("cpu")
MakeSettings = Callable[..., Settings]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads for the rest of a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def trained(runs: Sequence[Settings], data: Arrays) -> TrainingState:
    pack = Pack.of(runs, data, CPU)
    state = init_state(pack)
    assert train(pack, state, lambda: False, lambda _: None)
    return state


def assert_equal(one: TrainingState, other: TrainingState) -> None:
    assert one.history == other.history
    assert one.diverged == other.diverged
    assert one.moments.step == other.moments.step
    for name, tensor in one.parameters.items():
        assert torch.equal(other.parameters[name], tensor), name


@pytest.mark.parametrize("count", [2, 3, 5])
def test_threads_do_not_change_a_run(
    settings: MakeSettings, digits: Arrays, threads: Callable[[int], None], count: int
) -> None:
    runs = [settings(objective="bilbo", seed=seed) for seed in range(5)]
    threads(1)
    alone = trained(runs, digits)
    threads(count)
    assert_equal(trained(runs, digits), alone)
    assert torch.get_num_threads() == count


def test_the_other_runs_of_a_pack_do_not_change_a_run(
    settings: MakeSettings, digits: Arrays
) -> None:
    runs = [settings(seed=seed) for seed in range(3)]
    together, alone = trained(runs, digits), trained(runs[1:2], digits)
    for name, tensor in alone.parameters.items():
        assert torch.equal(together.parameters[name][1:2], tensor), name


def test_runs_that_are_stopped_stop_at_one_step_and_go_on_the_same(
    settings: MakeSettings,
    digits: Arrays,
    threads: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lanes of uneven speed, stopped at random."""
    runs = [settings(objective="constant", seed=seed) for seed in range(4)]
    expected = trained(runs, digits)
    uneven = random.Random(0)

    def slowly(*arguments: Any) -> Tensor:
        time.sleep(uneven.random() / 300)
        return step(*arguments)

    monkeypatch.setattr(cpu_threads, "step", slowly)
    threads(3)
    pack = Pack.of(runs, digits, CPU)
    state = init_state(pack)
    stops = 0
    while not train(pack, state, lambda: uneven.random() < 0.4, lambda _: None):
        stops += 1
        assert int(state.moments.step) == state.step
    assert stops
    assert_equal(state, expected)


@pytest.mark.parametrize("count", [1, 3])
def test_what_fails_in_a_lane_fails(
    settings: MakeSettings,
    digits: Arrays,
    threads: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    def failing(*_: object) -> Tensor:
        raise MemoryError("none left")

    monkeypatch.setattr(cpu_threads, "step", failing)
    threads(count)
    with pytest.raises(MemoryError, match="none left"):
        trained([settings(seed=seed) for seed in range(3)], digits)


@pytest.mark.parametrize(("count", "runs"), [(1, 2), (2, 2), (2, 1)])
def test_steps_count_subnormal_numbers_as_zero_and_nothing_after_them_does(
    settings: MakeSettings,
    digits: Arrays,
    threads: Callable[[int], None],
    count: int,
    runs: int,
) -> None:
    # Large enough for all threads to share the work on it.
    smallest = torch.full([400_000], torch.finfo(torch.float32).tiny)

    def kept() -> float:
        return float((smallest * 0.5 != 0).double().mean())

    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot flush subnormal numbers")
    in_steps: list[float] = []

    def seen() -> bool:
        in_steps.append(kept())
        return False

    threads(count)
    assert kept() == 1
    pack = Pack.of([settings(objective="bilbo", seed=seed) for seed in range(runs)], digits, CPU)
    take = cpu_threads.on_threads(pack, init_state(pack))
    rows = torch.arange(200).expand(runs, -1)
    take(rows, torch.zeros(runs, 200, 2), [0.0, 0.0], 0, seen)
    assert in_steps == [0]
    assert kept() == 1


def test_a_users_choice_about_subnormal_numbers_is_left_as_it_was() -> None:
    smallest = torch.full([1], torch.finfo(torch.float32).tiny)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormal numbers")
    try:
        with subnormals_as_zero():
            pass
        assert smallest * 0.5 == 0
    finally:
        torch.set_flush_denormal(False)
    with subnormals_as_zero():
        pass
    assert smallest * 0.5 != 0
