"""Compiled steps give the numbers of plain ones, and plain ones serve where nothing compiles."""

import logging
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import torch

from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.execution.checkpoint import checkpoint_key, restore_checkpoint, save_checkpoint
from vaebench.experiment.settings import Settings
from vaebench.numerics.kernels import has_onednn
from vaebench.training import compiled
from vaebench.training.loop import train
from vaebench.training.pack import Pack, TrainingState, init_state
from vaebench.training.step import by_autograd
from vaebench.training.trace import example

CPU = torch.device("cpu")
MakeSettings = Callable[..., Settings]

pytestmark = pytest.mark.skipif(not has_onednn(), reason="only with oneDNN on x86")


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of this module, so that each kind of run is compiled once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_folder))
    monkeypatch.delenv(compiled.VARIABLE, raising=False)


@pytest.fixture
def runs(settings: MakeSettings) -> list[Settings]:
    """Two runs of a pack with another tau, which is a number that the graph holds."""
    own = {"objective": "bilbo", "likelihood": "baggins", "data_scale": 1.0}
    return [settings(**own, tau=tau, seed=seed) for seed, tau in enumerate((0.2, 0.6))]


def trained(
    runs: list[Settings], data: Arrays, is_compiled: bool, steps: int | None = None
) -> tuple[Pack, TrainingState]:
    pack = Pack.of(runs, data, CPU)
    state = init_state(pack)
    state.compiled = is_compiled
    asked = count(1)
    train(pack, state, lambda: steps is not None and next(asked) >= steps, lambda _: None)
    return pack, state


def libraries(folder: Path) -> list[Path]:
    return sorted(folder.rglob(compiled.LIBRARY))


def test_a_compiled_training_is_a_plain_one_up_to_rounding(
    runs: list[Settings], digits: Arrays, cache_folder: Path
) -> None:
    _, fast = trained(runs, digits, is_compiled=True)
    _, plain = trained(runs, digits, is_compiled=False)
    assert fast.compiled
    assert not plain.compiled
    assert len(libraries(cache_folder)) == 1, "tau is an input, so both runs share the code"
    for name, tensor in plain.parameters.items():
        assert torch.allclose(fast.parameters[name], tensor, rtol=1e-3, atol=1e-4), name
        assert not torch.equal(
            fast.parameters[name], init_state(Pack.of(runs, digits, CPU)).parameters[name]
        )
    other = plain.parameters["decoder.output.weight"]
    assert not torch.allclose(other[0], other[1], rtol=1e-3, atol=1e-4), "tau makes a difference"


def test_gradients_are_those_of_float64(runs: list[Settings], digits: Arrays) -> None:
    pack, state = trained(runs[1:], digits, is_compiled=True, steps=3)
    (function,) = compiled.compiled([(pack, state)], 1) or [by_autograd]
    assert function is not by_autograd
    *_, pixels, noise, _ = example(pack, state)
    exact = Pack.of(runs[1:], digits, CPU)
    leaves = {k: v.detach().double().requires_grad_() for k, v in state.parameters.items()}
    found = function(pack, state.parameters, pixels, noise, 3)
    wanted = by_autograd(exact, leaves, pixels.double(), noise.double(), 3)
    assert wanted[0].dtype == torch.float64
    for ours, truth in zip(found, wanted, strict=True):
        assert (ours.double() - truth).abs().max() <= 2e-5 * truth.abs().max()


def test_threads_and_other_runs_change_no_bit(runs: list[Settings], digits: Arrays) -> None:
    before = torch.get_num_threads()
    _, together = trained(runs, digits, is_compiled=True)
    try:
        torch.set_num_threads(2)
        _, on_two = trained(runs, digits, is_compiled=True)
    finally:
        torch.set_num_threads(before)
    _, alone = trained(runs[1:], digits, is_compiled=True)
    for name, tensor in together.parameters.items():
        assert torch.equal(tensor, on_two.parameters[name]), name
        assert torch.equal(tensor[1], alone.parameters[name][0]), name


def test_a_stopped_compiled_training_continues_bit_equal(
    runs: list[Settings], digits: Arrays, tmp_path: Path
) -> None:
    _, whole = trained(runs, digits, is_compiled=True)
    pack, begun = trained(runs, digits, is_compiled=True, steps=4)
    key = checkpoint_key(pack, "data")
    save_checkpoint(tmp_path / "a.state", key, begun)
    state = init_state(pack)
    assert restore_checkpoint(tmp_path / "a.state", key, pack, state, {key.sources})
    assert state.compiled, "it goes on as it began"
    train(pack, state, lambda: False, lambda _: None)
    for name, tensor in whole.parameters.items():
        assert torch.equal(tensor, state.parameters[name]), name


def test_without_a_compiler_steps_are_plain_and_the_reason_is_told(
    runs: list[Settings],
    digits: Arrays,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("CXX", "/nowhere/compiler")
    with caplog.at_level(logging.INFO):
        _, state = trained(runs, digits, is_compiled=True, steps=2)
    assert not state.compiled
    assert "there is no C++ compiler" in caplog.text


def test_wrong_code_is_noticed(runs: list[Settings], digits: Arrays) -> None:
    pack = Pack.of(runs[:1], digits, CPU)
    state = init_state(pack)
    names, inputs = list(state.parameters), example(pack, state)
    compiled._check(by_autograd, pack, names, inputs)
    for wrong in range(1 + len(names)):

        def off(*arguments: object, wrong: int = wrong) -> list[torch.Tensor]:
            values = by_autograd(*arguments)  # type: ignore[arg-type]
            values[wrong] = values[wrong] * 1.01
            return values

        with pytest.raises(UserError, match="more than rounding"):
            compiled._check(off, pack, names, inputs)


def test_long_trainings_are_compiled_unless_told_otherwise(
    settings: MakeSettings, digits: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choice(**own: object) -> bool:
        return compiled.chosen(Pack.of([settings(**own)], digits, CPU))

    steps = Pack.of([settings(epochs=1)], digits, CPU).steps
    long = compiled.LONG // steps + 1
    assert choice(epochs=long)
    assert not choice(epochs=1)
    assert not choice(epochs=long, precision="bfloat16")
    monkeypatch.setenv(compiled.VARIABLE, "always")
    assert choice(epochs=1)
    monkeypatch.setenv(compiled.VARIABLE, "never")
    assert not choice(epochs=long)
    monkeypatch.setenv(compiled.VARIABLE, "yes")
    with pytest.raises(UserError, match="VAEBENCH_COMPILE is 'yes': choose one of"):
        choice(epochs=long)
