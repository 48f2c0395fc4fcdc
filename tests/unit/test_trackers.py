"""Trackers see settings, history and final metrics, and change nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch

from tests.unit.test_session import targets_in, weights
from vaebench.cli.options import make_resources
from vaebench.errors import UserError
from vaebench.execution import trackers
from vaebench.execution.session import Resources, train_targets
from vaebench.execution.trackers import TrackedRun
from vaebench.experiment.settings import Settings
from vaebench.runs.record import RunRecord, read_record

MakeSettings = Callable[..., Settings]


@dataclass
class Noted:
    """What a tracker was told of a run."""

    run: TrackedRun
    metrics: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    is_open: bool = True


@pytest.fixture
def resources(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Resources:
    monkeypatch.chdir(tmp_path)
    store = tmp_path / "store"
    return Resources(torch.device("cpu"), data_root, store, save_every=1, track="mlflow")


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[Noted]:
    """A tracker that notes what it is told, in place of one that needs a package."""
    found: list[Noted] = []

    @contextmanager
    def note(run: TrackedRun, folder: Path) -> Iterator[trackers.Log]:
        assert folder == Path("tracking/mlflow")
        found.append(Noted(run))
        told = found[-1]
        yield lambda metrics, step: told.metrics.append((step, dict(metrics)))
        told.is_open = False

    monkeypatch.setitem(trackers.TRACKERS, "mlflow", note)
    monkeypatch.setattr(trackers, "find_spec", lambda name: name)
    return found


def expected(record: RunRecord) -> list[tuple[int, dict[str, float]]]:
    def known(values: Mapping[str, float | None], prefix: str) -> dict[str, float]:
        return {prefix + name: value for name, value in values.items() if value is not None}

    others = {"train_elbo": "train/elbo", "held_out_elbo": "held_out/elbo"}
    points = []
    for point in record.history:
        of_test = known(point.model_dump(exclude={"epoch", "step", *others}), "test/")
        of_others = {others[name]: value for name, value in point if name in others}
        points.append((point.step, of_test | known(of_others, "")))
    final = known(record.final.test.model_dump(), "final/test/")
    final |= known(record.final.train.model_dump(), "final/train/")
    return [*points, (record.history[-1].step, final)]


def test_a_tracker_is_told_of_every_run_and_changes_no_byte(
    tmp_path: Path, resources: Resources, settings: MakeSettings, noted: list[Noted]
) -> None:
    runs = [settings(seed=seed, epochs=12, likelihood="gaussian-shared-batch") for seed in (0, 1)]
    assert train_targets("test", targets_in(Path("a"), runs), resources)
    for told, run in zip(noted, runs, strict=True):
        record = read_record(tmp_path / f"a/seed~{run.seed}/metrics.json")
        assert told.run == TrackedRun(f"a/seed~{run.seed}", record.run_hash, run.given())
        assert told.metrics == expected(record)
        assert not told.is_open
    untracked = replace(resources, store=tmp_path / "other", track=None)
    assert train_targets("test", targets_in(Path("b"), runs), untracked)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert len(noted) == 2
    # What is finished is not tracked again.
    assert train_targets("test", targets_in(Path("c"), runs), resources)
    assert len(noted) == 2


def test_a_training_that_goes_on_tells_its_whole_history(
    tmp_path: Path, resources: Resources, settings: MakeSettings, noted: list[Noted]
) -> None:
    targets = targets_in(Path("a"), [settings(epochs=3)])
    assert not train_targets("test", targets, replace(resources, deadline=0.0))
    assert train_targets("test", targets, resources)
    first, second = noted
    assert first.run == second.run
    assert first.metrics == []
    assert second.metrics == expected(read_record(tmp_path / "a/seed~0/metrics.json"))


def test_a_tracker_that_fails_does_not_end_the_training(
    resources: Resources,
    settings: MakeSettings,
    noted: list[Noted],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @contextmanager
    def failing(*_: object) -> Iterator[trackers.Log]:
        def fail(*_: object) -> None:
            raise OSError("no space left")

        yield fail

    monkeypatch.setitem(trackers.TRACKERS, "mlflow", failing)
    assert train_targets("test", targets_in(Path("a"), [settings(epochs=3)]), resources)
    text = capsys.readouterr().err
    assert text.count("tracking stops, and training continues: no space left") == 1
    assert not noted


def test_a_missing_package_and_an_unknown_tracker_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    for name, package in trackers.PACKAGES.items():
        with pytest.raises(UserError, match=f"pip install {package}$"):
            make_resources("cpu", None, tmp_path, tmp_path, 1, track=name)
    with pytest.raises(UserError, match="'abacus' is not one of: tensorboard, mlflow, wandb"):
        make_resources("cpu", None, tmp_path, tmp_path, 1, track="abacus")


@pytest.mark.parametrize("name", trackers.TRACKERS)
def test_trackers_with_their_packages(
    tmp_path: Path, resources: Resources, settings: MakeSettings, name: str
) -> None:
    """Where the package is installed; none of them is among the project's own."""
    pytest.importorskip(name)
    runs = [settings(seed=seed, epochs=2) for seed in (0, 1)]
    targets = targets_in(Path("a"), runs)
    assert not train_targets("test", targets, replace(resources, track=name, deadline=0.0))
    assert train_targets("test", targets, replace(resources, track=name))
    record = read_record(tmp_path / "a/seed~1/metrics.json")
    elbo = record.final.test.elbo
    folder = tmp_path / "tracking" / name
    if name == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder / "a/seed~1"))
        events.Reload()
        assert [event.step for event in events.Scalars("test/elbo")] == [15, 30]
        assert events.Scalars("final/test/elbo")[0].value == pytest.approx(elbo)
    elif name == "mlflow":
        from mlflow.tracking import MlflowClient

        client = MlflowClient(folder.as_uri())
        experiment = client.get_experiment_by_name("vaebench")
        assert experiment is not None
        (found,) = client.search_runs(
            [experiment.experiment_id], f"tags.run_hash = '{record.run_hash}'"
        )
        assert found.data.params["learning_rate"] == "0.001"
        assert found.data.metrics["final/test/elbo"] == pytest.approx(elbo)
        assert found.info.status == "FINISHED"
    else:
        files = list(folder.glob(f"wandb/offline-run-*-{record.run_hash[:32]}/*.wandb"))
        assert len(files) == 2  # one for each process; `wandb sync` joins them
        assert any(b"final/test/elbo" in file.read_bytes() for file in files)
    assert train_targets(
        "test", targets_in(Path("b"), runs), replace(resources, store=tmp_path / "2", track=None)
    )
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
