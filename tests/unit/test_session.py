"""A cell's runs from start to files: finished runs, stops, kills, damage, locks."""

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import read_json
from vaebench import __version__
from vaebench.errors import UserError
from vaebench.execution.checkpoint import checkpoint_key
from vaebench.execution.session import Resources, Target, train_targets
from vaebench.execution.weights import weights_file, weights_metadata
from vaebench.experiment.settings import Settings
from vaebench.files import digest_file
from vaebench.runs.record import read_record
from vaebench.runs.sources import source_digest
from vaebench.runs.store import locked
from vaebench.training.pack import Pack, TrainingState, init_state

MakeSettings = Callable[..., Settings]


@pytest.fixture
def resources(tmp_path: Path, data_root: Path) -> Resources:
    return Resources(torch.device("cpu"), data_root, tmp_path / "store", save_every=1)


def targets_in(folder: Path, runs: list[Settings]) -> list[Target]:
    places = [folder / f"seed~{run.seed}" for run in runs]
    return [
        Target(run, place, place / "model.safetensors")
        for run, place in zip(runs, places, strict=True)
    ]


def weights(folder: Path) -> list[str]:
    return [digest_file(path) for path in sorted(folder.rglob("model.safetensors"))]


def test_a_run_leaves_its_three_files(
    tmp_path: Path, resources: Resources, settings: MakeSettings
) -> None:
    targets = targets_in(tmp_path / "out", [settings(seed=seed, epochs=11) for seed in (0, 1)])
    assert train_targets("test", targets, resources)
    for target in targets:
        record = read_record(target.folder / "metrics.json")
        assert record.run == target.settings
        assert record.status == "completed"
        assert record.digests.weights == digest_file(target.weights)
        assert record.digests.arrays == digest_file(target.folder / "arrays.npz")
        assert record.worker.packed_runs == 2
        assert record.worker.threads == torch.get_num_threads()
        assert record.timing.steps_per_second > 0
        test = record.final.test
        assert test.elbo is not None
        assert test.rate is not None
        assert test.distortion is not None
        assert test.elbo == pytest.approx(-test.rate - test.distortion)
        assert test.elbo_frozen_prior == pytest.approx(test.elbo)  # the standard prior is fixed
        assert record.history[-1].elbo == pytest.approx(test.elbo)
        values = read_json(target.folder / "metrics.json")
        assert {"schema_version", "run", "run_hash", "status", "final", "history"} <= set(values)
        tensors = load_file(target.weights)
        assert tensors["encoder.hidden1.weight"].shape == (784, 16)
        # The weights say what they are, and nothing of when and where they were made.
        assert weights_metadata(target.weights) == {
            "settings": target.settings.given(),
            "run_hash": record.run_hash,
            "libraries": {"vaebench": __version__, "torch": torch.__version__},
        }
    assert not list((tmp_path / "store" / "states").glob("*"))


def test_equal_weights_are_equal_bytes_and_files_without_metadata_are_fine(
    tmp_path: Path, settings: MakeSettings
) -> None:
    parameters = {f"layer{k}": torch.full((2,), float(k)) for k in range(5)}
    assert len({weights_file(settings(), "hash", parameters) for _ in range(20)}) == 1
    path = tmp_path / "earlier.safetensors"
    save_file({"layer": torch.zeros(2)}, path)
    assert weights_metadata(path) is None


def test_finished_runs_are_not_trained_again(
    tmp_path: Path,
    resources: Resources,
    settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = [settings(seed=seed) for seed in (0, 1)]
    train_targets("test", targets_in(tmp_path / "a", runs), resources)
    packs: list[tuple[int, ...]] = []

    def noting(pack: Pack) -> TrainingState:
        packs.append(pack.vae.seeds)
        return init_state(pack)

    monkeypatch.setattr("vaebench.execution.session.init_state", noting)
    train_targets("test", targets_in(tmp_path / "b", runs), resources)
    assert packs == []
    train_targets("test", targets_in(tmp_path / "c", [*runs, settings(seed=2)]), resources)
    assert packs == [(2,)]
    assert "2 of 3 runs are trained already" in capsys.readouterr().err
    assert weights(tmp_path / "a") == weights(tmp_path / "b") == weights(tmp_path / "c")[:2]


IN_STEPS = {"epochs": None, "steps": 47, "schedule": "constant-cosine"}
CONVOLUTIONAL = {
    "dataset": "faces", "network": "conv", "likelihood": "gaussian-coordinate", "batch_size": 16,
    "hidden_units": None, "hidden_layers": None,
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 4}, IN_STEPS, CONVOLUTIONAL | IN_STEPS | {"steps": 24}],
    ids=["epochs", "steps", "convolutional"],
)
def test_a_stopped_pack_continues_bit_equal(
    tmp_path: Path,
    resources: Resources,
    settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
) -> None:
    runs = [settings(seed=seed, **changes) for seed in (0, 1)]
    whole = replace(resources, store=tmp_path / "whole")
    assert train_targets("test", targets_in(tmp_path / "a", runs), whole)
    # Stops in the middle of epochs: every check of the clock after the seventh step is late.
    stops = 0
    while True:
        ticks = iter([0.0] * 7)
        monkeypatch.setattr(time, "monotonic", lambda t=ticks: next(t, 100.0))
        if train_targets(
            "test", targets_in(tmp_path / "b", runs), replace(resources, deadline=50.0)
        ):
            break
        stops += 1
    assert stops >= 3
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    a, b = (read_record(tmp_path / x / "seed~1" / "metrics.json") for x in "ab")
    assert (a.final, a.history, a.digests) == (b.final, b.history, b.digests)


COMMAND = [
    *(sys.executable, "-m", "vaebench", "train", "--dataset", "digits", "--objective", "bilbo"),
    *("--likelihood", "bernoulli", "--latent-dim", "2", "--seeds", "0,1", "--epochs", "60"),
    *("--hidden-units", "64", "--batch-size", "50", "--threads", "1", "--save-every", "5"),
]


def start(data_root: Path, out: Path, store: Path) -> subprocess.Popen[str]:
    arguments = ["--out", str(out), "--store", str(store), "--data", str(data_root)]
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        # These tests may run under nohup, which ignores this signal in all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> list[str]:
    """The digests of the weights that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    process = start(data_root, folder / "out", folder / "store")
    text = process.communicate(timeout=120)[1]
    assert process.returncode == 0, text
    return weights(folder / "out")


@pytest.mark.faults
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP, signal.SIGKILL]
)
def test_a_killed_process_continues_bit_equal(
    tmp_path: Path, data_root: Path, whole: list[str], number: signal.Signals
) -> None:
    out, store = tmp_path / "out", tmp_path / "store"
    states = store / "states"
    process = start(data_root, out, store)
    deadline = time.monotonic() + 60
    while not (states.exists() and any(states.glob("*.state"))):
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.005)
    process.send_signal(number)
    text = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    assert not out.exists()
    if number != signal.SIGKILL:
        assert process.returncode == 75
        assert "its state is saved" in text
    again = start(data_root, out, store)
    text = again.communicate(timeout=120)[1]
    assert again.returncode == 0, text
    assert "continues after step" in text
    assert weights(out) == whole


def stopped_state(targets: list[Target], resources: Resources) -> Path:
    """The path of the state of a training that was stopped at once."""
    assert not train_targets("test", targets, replace(resources, deadline=0.0))
    (path,) = (resources.store / "states").iterdir()
    return path


def test_a_damaged_state_is_refused_and_named(
    tmp_path: Path, resources: Resources, settings: MakeSettings
) -> None:
    targets = targets_in(tmp_path / "a", [settings(epochs=3)])
    path = stopped_state(targets, resources)
    content = path.read_bytes()
    flipped = [bytearray(content) for _ in range(20)]
    for k, changed in enumerate(flipped):
        changed[k * len(content) // 20] ^= 1 << k % 8
    for damaged in map(bytes, (content[:100], content[:-10], b"", content + b"more", *flipped)):
        assert damaged != content
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"it is damaged.*--start-over") as error:
            train_targets("test", targets, resources)
        assert path.name in str(error.value)
        assert path.read_bytes() == damaged
    path.write_bytes(content)
    assert train_targets("test", targets, resources)


def test_a_state_of_other_sources_version_settings_data_or_device_is_refused_with_the_reason(
    tmp_path: Path, resources: Resources, settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = targets_in(tmp_path / "a", [settings(epochs=3)])
    path = stopped_state(targets, resources)
    for change, reason in (
        ({"sources": "f" * 64}, f"other sources made it .* than this checkout's .{'f' * 12}"),
        ({"version": 9}, "its version is 2, not 9"),
        ({"settings": ["other"]}, "it belongs to other settings"),
        ({"data": "other"}, "it belongs to other data"),
        ({"device": "cuda"}, "it was made on cpu: continue with --device cpu"),
    ):
        monkeypatch.setattr(
            "vaebench.execution.session.checkpoint_key",
            lambda pack, data, change=change: checkpoint_key(pack, data).model_copy(update=change),
        )
        monkeypatch.setattr(
            "vaebench.execution.session.same_to_the_bit",
            lambda run, change=change: {change.get("sources", source_digest(run))},
        )
        with pytest.raises(UserError, match=rf"{reason}.*--start-over"):
            train_targets("test", targets, resources)
    assert path.exists()
    assert train_targets("test", targets, replace(resources, start_over=True))


def test_starting_over_ends_as_a_whole_training_does(
    tmp_path: Path, resources: Resources, settings: MakeSettings
) -> None:
    runs = [settings(epochs=3)]
    train_targets("test", targets_in(tmp_path / "a", runs), resources)
    other = replace(resources, store=tmp_path / "other")
    targets = targets_in(tmp_path / "b", runs)
    stopped_state(targets, other).write_bytes(b"no state")
    assert train_targets("test", targets, replace(other, start_over=True))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    # A finished run is trained again if it is damaged, and only then.
    (arrays,) = (other.store / "runs").rglob("arrays.npz")
    whole, date = arrays.read_bytes(), arrays.stat().st_mtime_ns
    train_targets("test", targets, replace(other, start_over=True))
    assert arrays.stat().st_mtime_ns == date
    arrays.write_bytes(whole[:-1])
    train_targets("test", targets, replace(other, start_over=True))
    assert arrays.read_bytes() == whole


def test_a_kill_while_the_runs_of_a_pack_are_stored_trains_none_of_them_in_another_pack(
    tmp_path: Path, resources: Resources, settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every point between the first run that is staged and the last that counts."""
    runs = [settings(seed=seed, epochs=1) for seed in (0, 1, 2)]
    train_targets("test", targets_in(tmp_path / "whole", runs), resources)
    packs: list[int] = []

    def noting(pack: Pack) -> TrainingState:
        packs.append(len(pack.runs))
        return init_state(pack)

    monkeypatch.setattr("vaebench.execution.session.init_state", noting)
    replacements = 0
    for last in range(100):
        other = replace(resources, store=tmp_path / f"store{last}")
        targets = targets_in(tmp_path / f"out{last}", runs)
        calls = iter(range(1000))

        def killed(
            source: Path, target: Path, calls: Iterator[int] = calls, last: int = last
        ) -> None:
            if next(calls) == last:
                raise KeyboardInterrupt
            Path(source).rename(target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", killed)
            try:
                train_targets("test", targets, other)
                break
            except KeyboardInterrupt:
                replacements += 1
        assert train_targets("test", targets, other)
        assert weights(tmp_path / f"out{last}") == weights(tmp_path / "whole")
    # The state, three files a run, their release, three files a run where they are wanted.
    assert replacements == 1 + 3 * 3 + 3 + 3 * 3
    assert set(packs) == {3}
    assert not list(tmp_path.rglob("*.part"))


def test_a_damaged_finished_run_is_refused_and_named(
    tmp_path: Path, resources: Resources, settings: MakeSettings
) -> None:
    targets = targets_in(tmp_path / "a", [settings()])
    train_targets("test", targets, resources)
    (path,) = (tmp_path / "store" / "runs").rglob("arrays.npz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"arrays\.npz is not the file that .*\n.*--start-over"):
        train_targets("test", targets, resources)


def test_a_second_process_waits_for_the_first(tmp_path: Path, data_root: Path) -> None:
    store = tmp_path / "store"
    arguments = ["--out", str(tmp_path / "a"), "--store", str(store), "--data", str(data_root)]
    run = subprocess.run([*COMMAND, *arguments, "--epochs", "1"], check=True, capture_output=True)
    assert run.returncode == 0
    names = [path.stem for path in (store / "locks").iterdir()]
    for path in (store / "runs").rglob("metrics.json"):
        path.unlink()
    with locked(store, names):
        second = subprocess.Popen(
            [*COMMAND, *arguments, "--epochs", "1"], stderr=subprocess.PIPE, text=True
        )
        assert second.stderr is not None
        line = second.stderr.readline()
        assert (
            f"waiting: process {os.getpid()} on {platform.node()} works on one of these runs"
            in line
        )
        # Longer than training one epoch takes: it really waits, and writes nothing.
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=5)
        assert not list((store / "runs").rglob("metrics.json"))
    second.communicate(timeout=60)
    assert second.returncode == 0
    assert len(list((store / "runs").rglob("metrics.json"))) == 2


def test_a_diverged_run_is_recorded_and_its_pack_goes_on(
    tmp_path: Path, resources: Resources, settings: MakeSettings
) -> None:
    runs = [
        settings(objective="bilbo", seed=seed, latent_scale=scale)
        for seed, scale in ((0, 1.0), (1, 1e30))
    ]
    targets = targets_in(tmp_path / "out", runs)
    assert train_targets("test", targets, resources)
    good, bad = (read_record(target.folder / "metrics.json") for target in targets)
    assert (good.status, good.diverged_step) == ("completed", None)
    assert (bad.status, bad.diverged_step) == ("diverged", 1)
    assert bad.final.test.elbo is None
    assert good.final.test.elbo is not None
    with np.load(targets[1].folder / "arrays.npz") as arrays:
        assert arrays["samples"].dtype == np.uint8


def test_a_batch_larger_than_the_training_set_is_refused(
    tmp_path: Path, resources: Resources, settings: MakeSettings
) -> None:
    targets = targets_in(tmp_path / "out", [settings(batch_size=2000)])
    with pytest.raises(UserError, match="batch_size 2000 exceeds the 1500 training images"):
        train_targets("test", targets, resources)
