"""Runs that continue finished ones: the same bytes as a training at once, and what is refused."""

import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from tests.unit.test_session import targets_in
from vaebench.cli import app
from vaebench.errors import UserError
from vaebench.execution.checkpoint import checkpoint_key
from vaebench.execution.session import Resources, train_targets
from vaebench.experiment.settings import Settings
from vaebench.runs.record import read_record
from vaebench.training.final_metrics import final_metrics

MakeSettings = Callable[..., Settings]
Train = Callable[..., Result]


@pytest.fixture
def resources(tmp_path: Path, data_root: Path) -> Resources:
    store = tmp_path / "store"
    return Resources(torch.device("cpu"), data_root, store, save_every=1, keep_state=True)


def results(folder: Path) -> list[tuple[object, ...]]:
    """Records without times and worker, arrays and weights of the runs in a folder."""
    found: list[tuple[object, ...]] = []
    for path in sorted(folder.rglob("metrics.json")):
        record = read_record(path)
        timeless = record.model_copy(update={"timing": None, "worker": None})
        files = (path.with_name(name).read_bytes() for name in ("arrays.npz", "model.safetensors"))
        found.append((timeless, *files))
    return found


STEPS = {"epochs": None}


@pytest.mark.parametrize(
    ("shorter", "longer", "points"),
    [
        ({"epochs": 7}, {"epochs": 23}, [*range(1, 11), 15, 20, 23]),
        # 13 epochs have a point that 16 do not.
        ({"epochs": 13}, {"epochs": 16}, [*range(1, 11), 15, 16]),
        (STEPS | {"steps": 20}, STEPS | {"steps": 40}, list(range(2, 41, 2))),
        # The shorter run is evaluated after every second step and after the last one.
        (STEPS | {"steps": 47}, STEPS | {"steps": 94}, [*range(4, 93, 4), 94]),
    ],
    ids=["epochs", "last epoch", "steps", "last step"],
)
def test_a_continued_run_is_the_longer_one_to_the_bit(
    tmp_path: Path,
    resources: Resources,
    settings: MakeSettings,
    capsys: pytest.CaptureFixture[str],
    shorter: dict[str, object],
    longer: dict[str, object],
    points: list[int],
) -> None:
    at_once = replace(resources, store=tmp_path / "other", keep_state=False)
    runs = [settings(seed=seed, objective="bilbo", **longer) for seed in (0, 1)]
    assert train_targets("test", targets_in(tmp_path / "at once", runs), at_once)
    assert not (at_once.store / "kept").exists()
    # Kept by a pack with other members, in another order.
    before = [settings(seed=seed, objective="bilbo", **shorter) for seed in (2, 1, 0)]
    assert train_targets("test", targets_in(tmp_path / "shorter", before), resources)
    must = replace(resources, must_continue=True)
    assert train_targets("test", targets_in(tmp_path / "continued", runs), must)
    assert "continues finished runs after step" in capsys.readouterr().err
    assert results(tmp_path / "continued") == results(tmp_path / "at once")
    history = read_record(tmp_path / "continued/seed~1/metrics.json").history
    assert [p.step if p.epoch is None else p.epoch for p in history] == points


def test_a_continued_run_is_continued_again_and_can_be_stopped(
    tmp_path: Path,
    resources: Resources,
    settings: MakeSettings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for epochs in (2, 3, 5):
        runs = [settings(seed=0, epochs=epochs)]
        if epochs == 5:
            late = replace(resources, deadline=0.0)
            assert not train_targets("test", targets_in(tmp_path / "5", runs), late)
        assert train_targets("test", targets_in(tmp_path / str(epochs), runs), resources)
    text = capsys.readouterr().err
    # The latest state counts; the one that was stopped comes before it.
    assert "finished runs after step 30 of 45" in text
    assert "finished runs after step 45 of 75" in text
    assert "continues after step 46 of 75" in text
    other = replace(resources, store=tmp_path / "other")
    assert train_targets("test", targets_in(tmp_path / "at once", runs), other)
    assert results(tmp_path / "5") == results(tmp_path / "at once")


def test_nothing_is_kept_unless_it_is_asked_for_and_can_be_used(
    tmp_path: Path, resources: Resources, settings: MakeSettings
) -> None:
    train_targets(
        "a", targets_in(tmp_path / "a", [settings()]), replace(resources, keep_state=False)
    )
    fallen = settings(schedule="constant-cosine")
    train_targets("b", targets_in(tmp_path / "b", [fallen]), resources)
    assert not (resources.store / "kept").exists()
    train_targets("c", targets_in(tmp_path / "c", [settings(seed=1)]), resources)
    (state,) = (resources.store / "kept").rglob("*.state")
    weights = tmp_path / "c/seed~1/model.safetensors"
    assert state.stat().st_size < 3.2 * weights.stat().st_size


def test_states_that_cannot_be_used_are_named_and_train_from_the_beginning(
    tmp_path: Path,
    resources: Resources,
    settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shorter, longer = [settings(epochs=2)], [settings(epochs=4)]
    train_targets("test", targets_in(tmp_path / "a", shorter), resources)
    (state,) = (resources.store / "kept").rglob("*.state")
    whole, must = state.read_bytes(), replace(resources, must_continue=True)

    def refusal(runs: list[Settings]) -> str:
        with pytest.raises(UserError) as error:
            train_targets("test", targets_in(tmp_path / "b", runs), must)
        assert not (tmp_path / "b").exists()
        return str(error.value)

    state.write_bytes(whole[:-1])
    assert "state after step 30 cannot be used: it is damaged. Train it without" in refusal(longer)
    # A state of other sources beside it does not matter, whichever name comes first.
    for name in ("0", "z"):
        other = state.with_name(f"{state.name.partition('-')[0]}-{name}.state")
        other.write_bytes(whole[:-1])
        assert "state after step 30 cannot be used: it is damaged" in refusal(longer)
        state.write_bytes(whole)
        fine = replace(must, store=tmp_path / f"with {name}")
        shutil.copytree(must.store, fine.store)
        assert train_targets("test", targets_in(tmp_path / name, longer), fine)
        state.write_bytes(whole[:-1])
        other.unlink()
    state.write_bytes(whole)
    assert "no final state of a shorter run was kept" in refusal([settings(epochs=4, seed=5)])
    assert "no final state of a shorter" in refusal([*longer, settings(epochs=4, seed=5)])
    assert "no final state of a shorter" in refusal([settings(epochs=4, batch_size=50)])
    with monkeypatch.context() as patch:
        patch.setattr("vaebench.execution.session.same_to_the_bit", lambda _: set())
        assert "other sources made it" in refusal(longer)
    for change, reason in (
        ({"data": "other"}, "it belongs to other data"),
        ({"device": "cuda"}, "it was made on cpu: continue with --device cpu"),
        ({"version": 9}, "its version is 2, not 9"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(
                "vaebench.execution.session.checkpoint_key",
                lambda pack, data, change=change: checkpoint_key(pack, data).model_copy(
                    update=change
                ),
            )
            assert reason in refusal(longer)
    at_fifty = [settings(epochs=None, steps=50)]
    train_targets("test", targets_in(tmp_path / "c", at_fifty), resources)
    assert "the longer run is evaluated after step 3, and" in refusal(
        [settings(epochs=None, steps=75)]
    )
    assert not (tmp_path / "b").exists()
    assert train_targets("test", targets_in(tmp_path / "b", longer), resources)
    assert "continues finished runs after step 30 of 60" in capsys.readouterr().err


def test_on_a_gpu_runs_continue_with_those_that_they_were_trained_with(
    tmp_path: Path, resources: Resources, settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the numbers of a run depend on the others of its pack, through rounding."""
    monkeypatch.setattr(
        "vaebench.execution.session.checkpoint_key",
        lambda pack, data: checkpoint_key(pack, data).model_copy(update={"device": "cuda"}),
    )
    shorter, longer = ([settings(seed=s, epochs=n) for s in (0, 1)] for n in (2, 4))
    assert train_targets("test", targets_in(tmp_path / "a", shorter), resources)
    must = replace(resources, must_continue=True)
    for others in (longer[:1], longer[::-1]):
        with pytest.raises(UserError, match="the numbers of a run depend on the runs beside it"):
            train_targets("test", targets_in(tmp_path / "b", others), must)
    assert train_targets("test", targets_in(tmp_path / "b", longer), must)


@pytest.fixture
def train(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(
            app, ["train", "--data", str(data_root), *arguments], env={"COLUMNS": "200"}
        )
        if isinstance(result.exception, UserError):
            raise result.exception
        return result

    return call


SMALL = ["--objective", "bilbo", "--hidden-units", "8", "--hidden-layers", "1", "--epochs", "2"]


def test_from_continues_one_run_of_a_pack(tmp_path: Path, train: Train) -> None:
    train(*SMALL, "--seeds", "0,1", "--posterior-std", "0.5,1", "--likelihood", "gaussian")
    folder = "out/posterior_std~0.5/seed~1"
    done = train("--from", folder, "--epochs", "3", "--out", "more", "--posterior-std", "0.5")
    assert done.exit_code == 0, done.output
    assert "continues finished runs after step 10 of 15" in done.output
    assert "next: vaebench train" in done.output
    assert "--from 'more/seed~1'" in done.output
    before, after = (
        read_record(tmp_path / place / "metrics.json") for place in (folder, "more/seed~1")
    )
    assert after.run == before.run.model_copy(update={"epochs": 3})
    assert after.history[:2] == before.history
    # It is there now, so it is taken as it is; and so it would be if its state were gone.
    for path in (tmp_path / ".vaebench/kept").rglob("*.state"):
        path.unlink()
    again = train("--from", folder, "--epochs", "3", "--out", "more")
    assert "1 of 1 runs are trained already" in again.output


def test_from_is_refused_with_the_reason(tmp_path: Path, train: Train) -> None:
    train(*SMALL)
    train(*SMALL, "--schedule", "constant-cosine", "--out", "cosine")
    train(*SMALL, "--latent-scale", "1e30", "--out", "diverged")
    train(*SMALL, "--seeds", "9", "--no-keep-state", "--out", "unkept")
    four = ("--epochs", "4", "--out", "b")
    for arguments, message in (
        (("--from", "out/seed~0", *four, "--learning-rate", "0.1"), r"learning_rate is 0\.001 in"),
        (("--from", "out/seed~0", *four, "--objective", "learned"), "objective is bilbo in that"),
        (("--from", "out/seed~0", *four, "--seeds", "1"), "seed is 0 in that run, and 1 here"),
        (("--from", "out/seed~0", *four, "--tau", "1"), r"tau is not taken in that run, and 1\.0"),
        (("--from", "out/seed~0", "--epochs", "2"), "that run has 2 epochs: give more"),
        (("--from", "out/seed~0", "--steps", "99"), "counted in epochs: give --epochs alone"),
        (("--from", "out/seed~0"), "counted in epochs: give --epochs alone"),
        (
            ("--from", "out/seed~0", "--epochs", "2000000000"),
            "--from: epochs: Input should be less",
        ),
        (("--from", "out/seed~0", "--epochs", "4"), "epochs is 2 there, and 4 here. Give another"),
        (("--from", "cosine/seed~0", *four), "schedule 'constant-cosine' depends on the length"),
        (("--from", "diverged/seed~0", *four), "that run diverged at step 1"),
        (("--from", "unkept/seed~9", *four), "no final state of a shorter run was kept"),
        (("--from", "nowhere", *four), "nowhere/metrics.json is missing"),
        (four, "--objective is missing: one of learned,"),
    ):
        with pytest.raises(UserError, match=message):
            train(*arguments)
        assert not (tmp_path / "b").exists()
    # An objective that depends on how much of the training is done has another beginning.
    train("--objective", "beta-vae", *SMALL[2:], "--out", "annealed")
    with pytest.raises(UserError, match="objective 'beta-vae' depends on the length"):
        train("--from", "annealed/seed~0", *four)


def test_a_longer_tier_continues_the_runs_of_a_shorter_one(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(data_root)
    for tier, epochs, keep in (("short", 2, "true"), ("long", 4, "false"), ("longer", 5, "false")):
        (tmp_path / f"{tier}.yaml").write_text(
            f"tier: {tier}\n"
            "experiments:\n"
            "  - name: first\n"
            "    settings: {dataset: digits, likelihood: bernoulli, latent_dim: 2, network: mlp,"
            " hidden_units: 8, hidden_layers: 1, batch_size: 50, learning_rate: 1e-3,"
            f" objective: bilbo, epochs: {epochs}}}\n"
            "    axes: {seed: [0, 1]}\n"
            "figures: []\n"
            f"execution: {{keep_state: {keep}}}\n"
        )
        done = CliRunner().invoke(app, ["run", "--tier", f"{tier}.yaml"])
        assert done.exit_code == 0, done.output
        continued = "continues finished runs after step 60 of" in done.output
        assert continued == (tier != "short")


def test_a_signal_during_the_evaluation_ends_the_work_after_it(
    tmp_path: Path, resources: Resources, settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = targets_in(tmp_path / "out", [settings(epochs=1)])

    def signalled(*arguments: object) -> object:
        signal.raise_signal(signal.SIGTERM)
        return final_metrics(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("vaebench.execution.session.final_metrics", signalled)
    assert not train_targets("test", targets, resources)
    assert (targets[0].folder / "metrics.json").exists()
    assert train_targets("test", targets, resources)
