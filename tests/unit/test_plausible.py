"""Runs and saved states that cannot be, although their digests fit."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from tests.packs import MakeSettings, train_steps
from tests.unit.test_session import stopped_state, targets_in
from vaebench.data.prepared import Arrays
from vaebench.data.prepared import load as load_data
from vaebench.errors import UserError
from vaebench.evaluation.arrays import to_npz
from vaebench.execution.checkpoint import CheckpointHeader, checkpoint_key, save_checkpoint
from vaebench.execution.session import Resources, train_targets
from vaebench.experiment.settings import Settings
from vaebench.files import digest_bytes
from vaebench.runs.plausible import check_run, expected_points, problem_of
from vaebench.runs.record import RunRecord, read_record
from vaebench.runs.store import get_run, put_run, run_folder
from vaebench.training.loop import is_recorded, train
from vaebench.training.pack import Pack, init_state

CPU = torch.device("cpu")


@pytest.fixture
def resources(tmp_path: Path, data_root: Path) -> Resources:
    return Resources(CPU, data_root, tmp_path / "store", 1)


@pytest.mark.parametrize("epochs", [1, 2, 9, 10, 11, 14, 15, 16, 20, 23, 100])
def test_the_expected_epochs_are_those_that_training_records(
    epochs: int, settings: MakeSettings
) -> None:
    run = settings(epochs=epochs)
    recorded = [number for number in range(1, epochs + 1) if is_recorded(run, number)]
    points = list(expected_points(epochs, None, 7))
    assert points == [(number, 7 * number) for number in recorded]


@pytest.mark.parametrize("steps", [1, 7, 19, 20, 21, 30, 45])
def test_the_expected_steps_are_those_that_training_records(
    steps: int, settings: MakeSettings, digits: Arrays
) -> None:
    run = settings(epochs=None, steps=steps)
    _, state = train_steps([run], digits, 10_000)
    points = [(point.epoch, point.step) for point in state.history[0]]
    assert list(expected_points(None, steps, 0)) == points


def forged_state(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the header of a saved state, with a digest that fits."""
    tensors = load(path.read_bytes().partition(b"\n")[2])
    header = CheckpointHeader.model_validate_json(tensors["header"].numpy().tobytes())
    values = header.model_dump(mode="json") | {"tensors": tensors}
    change(values)
    tensors = values.pop("tensors")
    text = CheckpointHeader.model_validate(values).model_dump_json().encode()
    tensors["header"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    content = save(tensors)
    path.write_bytes(f"{digest_bytes(content)}\n".encode() + content)


def nothing(_: dict[str, Any]) -> None: ...


def beyond(values: dict[str, Any]) -> None:
    values["step"] = 10**6
    values["tensors"]["adam/step"].fill_(10**6)


def at_the_end(values: dict[str, Any]) -> None:
    values["step"] = values["step"] * 3 // 2  # three epochs, of which two are done
    values["tensors"]["adam/step"].fill_(values["step"])


def infinite(values: dict[str, Any]) -> None:
    name = next(name for name in values["tensors"] if name.endswith(".weight"))
    values["tensors"][name][0, 0, 0] = torch.inf


FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "step beyond the end": (beyond, "it is of step 1000000, and the training has"),
    "negative step": (lambda v: v.update(step=-1), "it is of step -1"),
    "step at the end without its history": (at_the_end, "its history ends after"),
    "history too short": (lambda v: v.update(history=[[]]), "its history ends after 0 points"),
    "history too long": (
        lambda v: v.update(history=[v["history"][0] * 2]), "point 3 of its history"
    ),
    "history of no run": (lambda v: v.update(history=[]), "it is not of 1 runs"),
    "epoch of another step": (
        lambda v: v["history"][0][0].update(epoch=2), "point 1 of its history is of epoch 2"
    ),
    "divergence in the future": (lambda v: v.update(diverged=[10**6]), "diverged at step 1000000"),
    "no time": (lambda v: v.update(seconds=0.0), "its training took 0.0 seconds"),
    "negative time": (lambda v: v.update(seconds=-5.0), "its training took -5.0 seconds"),
    "updates of another step": (
        lambda v: v["tensors"]["adam/step"].fill_(3), "the updates of its optimiser"
    ),
    "infinite weights": (infinite, "its weights are not finite"),
}  # fmt: skip


def test_a_forged_state_is_refused_and_never_finished(
    tmp_path: Path, resources: Resources, settings: MakeSettings
) -> None:
    targets = targets_in(tmp_path / "a", [settings(epochs=3)])
    path = after_two_epochs(targets, resources)
    content = path.read_bytes()
    for name, (change, found) in FORGERIES.items():
        path.write_bytes(content)
        forged_state(path, change)
        with pytest.raises(UserError, match=rf"{path.name}.*{found}.*--start-over"):
            train_targets("test", targets, resources)
        assert not (targets[0].folder / "metrics.json").exists(), name
    path.write_bytes(content)
    forged_state(path, nothing)
    assert train_targets("test", targets, resources)


def after_two_epochs(targets: list[Any], resources: Resources) -> Path:
    """The state of a training that was stopped after two of its epochs."""
    path = stopped_state(targets, resources)
    data = load_data(resources.data / "prepared", "digits")
    pack = Pack.of([targets[0].settings], data, CPU)
    state = init_state(pack)
    train(pack, state, lambda: len(state.history[0]) == 2, lambda _: None)
    header = CheckpointHeader.model_validate_json(
        load(path.read_bytes().partition(b"\n")[2])["header"].numpy().tobytes()
    )
    save_checkpoint(path, checkpoint_key(pack, header.identity.data), state)
    return path


@pytest.fixture
def finished(tmp_path: Path, resources: Resources, settings: MakeSettings) -> RunRecord:
    target = targets_in(tmp_path / "a", [settings(epochs=2)])
    assert train_targets("test", target, resources)
    return read_record(target[0].folder / "metrics.json")


def changed(record: RunRecord, **parts: Any) -> RunRecord:
    """A record with some entries replaced; an entry of an entry is given as a mapping."""
    values = record.model_dump(mode="json")
    for name, part in parts.items():
        values[name] = values[name] | part if isinstance(part, dict) else part
    return RunRecord.model_validate(values)


def test_a_record_that_cannot_be_is_neither_stored_nor_taken_from_the_store(
    resources: Resources, finished: RunRecord
) -> None:
    store = resources.store
    run = get_run(store, finished.run_hash)
    history = finished.model_dump(mode="json")["history"]
    test = finished.final.test.model_dump(mode="json")
    forgeries = {
        "its history ends after 1 points": changed(finished, history=history[:1]),
        "its history ends after 0 points": changed(finished, history=[]),
        "point 3 of its history": changed(finished, history=[*history, history[-1]]),
        "point 1 of its history": changed(finished, history=history[::-1]),
        "other settings": changed(finished, digests={"settings": "0" * 64}),
        "its status is diverged": changed(finished, status="diverged"),
        "its diverged_step 3": changed(finished, diverged_step=3),
        "it diverged at step 900": changed(finished, status="diverged", diverged_step=900),
        "has 7 active of 2": changed(
            finished, final={"test": test | {"active_units": 7}}
        ),
        "negative or 0": changed(finished, timing={"seconds": -1.0}),
    }  # fmt: skip
    path = run_folder(store, finished.run_hash) / "metrics.json"
    text = path.read_bytes()
    for found, forged in forgeries.items():
        with pytest.raises(UserError, match=found):
            put_run(store, replace(run, record=forged, written=None))
        assert path.read_bytes() == text
        path.write_text(forged.to_json())
        with pytest.raises(UserError, match=rf"metrics\.json is refused.*{found}[\s\S]*start-over"):
            get_run(store, finished.run_hash)
        path.write_bytes(text)
    assert problem_of(finished) is None


def test_a_history_that_settings_make_endless_is_not_made_to_compare(
    finished: RunRecord, settings: MakeSettings
) -> None:
    endless = settings(epochs=1_000_000_000)
    forged = finished.model_copy(
        update={
            "run": endless,
            "digests": finished.digests.model_copy(update={"settings": endless.digest}),
        }
    )
    assert "its history" in str(problem_of(forged))


def test_arrays_of_another_size_are_not_stored(finished: RunRecord) -> None:
    good = {"kl": np.zeros(2, np.float32), "prior_std": np.zeros((1, 2), np.float32)}
    check_run(finished, to_npz(good))
    for arrays, found in (
        ({"kl": good["kl"]}, "lacks 'prior_std'"),
        (good | {"kl": np.zeros(3)}, "'kl' has the shape"),
    ):
        with pytest.raises(UserError, match=found):
            check_run(finished, to_npz(arrays))
    with pytest.raises(UserError, match=r"arrays\.npz of run"):
        check_run(finished, b"")


def test_weights_that_the_last_update_made_infinite_are_those_of_a_diverged_run(
    tmp_path: Path, resources: Resources, settings: MakeSettings
) -> None:
    """No later step can note it, so that such a run would count as completed."""
    runs: list[Settings] = [settings(epochs=None, steps=1, learning_rate=1e30, weight_decay=1e30)]
    targets = targets_in(tmp_path / "a", runs)
    assert train_targets("test", targets, resources)
    record = read_record(targets[0].folder / "metrics.json")
    weights = load(targets[0].weights.read_bytes())
    assert not all(bool(tensor.isfinite().all()) for tensor in weights.values())
    assert (record.status, record.diverged_step) == ("diverged", 1)
    assert record.final.test.elbo is None
