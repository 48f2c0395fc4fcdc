"""The evidence of finished runs: files, what is kept, the command, and Python."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import vaebench
from tests.linear_runs import CPU
from tests.packs import MakeSettings
from tests.tiers import forge
from vaebench.cli import app
from vaebench.errors import UserError
from vaebench.evidence import method
from vaebench.evidence.ais import annealed
from vaebench.evidence.measure import measure_runs
from vaebench.execution.session import Resources, Target, train_targets
from vaebench.experiment.evidence import EvidencePlan
from vaebench.experiment.grid import Experiment
from vaebench.results.collect import EVIDENCE_COLUMNS, evidence_columns
from vaebench.runs.evidence_record import EvidenceRecord
from vaebench.runs.measurement import RunFiles
from vaebench.runs.measures import EVIDENCE
from vaebench.runs.record import read_as, read_record

FAST: dict[str, Any] = {
    "images": 6,
    "temperatures": 8,
    "chains": 2,
    "draws": 100,
    "simulated": 3,
    "refined": 2,
}
PLAN = EvidencePlan(**FAST)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    """A folder with data, a store, and a run with n = 2 and one with n = 3."""
    root = tmp_path_factory.mktemp("runs")
    shutil.copytree(data_root, root / "data")
    for latent in (2, 3):
        target = Target(
            _settings(latent), root / f"n{latent}", root / f"n{latent}/model.safetensors"
        )
        assert train_targets("x", [target], Resources(CPU, root / "data", root / "store", 10))
    return root


def _settings(latent: int) -> Any:
    from vaebench.experiment.settings import Settings

    return Settings.model_validate(
        {
            **{"dataset": "digits", "likelihood": "bernoulli", "objective": "learned"},
            **{"latent_dim": latent, "network": "mlp", "hidden_units": 16, "hidden_layers": 1},
            **{"batch_size": 100, "learning_rate": 0.001, "epochs": 2, "seed": 0},
        }
    )


@pytest.fixture(autouse=True)
def _small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    from vaebench.evidence import grid

    monkeypatch.setattr(grid, "POINTS", {1: 300, 2: 60})


def measured(root: Path, latent: int, plan: EvidencePlan = PLAN, **options: Any) -> EvidenceRecord:
    folder = root / f"n{latent}"
    target = RunFiles(folder, folder / "model.safetensors")
    measure_runs([target], plan, root / "data", CPU, root / "store", **options)
    return read_as(EvidenceRecord, folder / "evidence.json", "")


def copied(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "root")
    return tmp_path / "root"


def test_records_and_arrays_agree(made: Path, tmp_path: Path) -> None:
    root = copied(made, tmp_path)
    for latent, name in ((2, "grid"), (3, "ais")):
        record = measured(root, latent).evidence
        assert record is not None
        assert record.method == name
        assert record.images == 6
        assert not record.is_log_likelihood
        with np.load(root / f"n{latent}" / "evidence.npz") as arrays:
            log_p, elbo = arrays["log_p"], arrays["elbo"]
            assert log_p.shape == elbo.shape == (6,)
            assert record.log_p.mean == pytest.approx(log_p.mean())
            assert record.gap.median == pytest.approx(np.median(log_p - elbo))
            assert record.gap.standard_error == pytest.approx((log_p - elbo).std(ddof=1) / 6**0.5)
            assert record.refinement is not None
            assert record.refinement.amortisation.mean == pytest.approx(
                arrays["refined_amortisation"].mean()
            )
            expected = (log_p - elbo)[:2].mean()
            assert record.refinement.gap == pytest.approx(expected, abs=1e-6 if latent == 2 else 4)
        metrics = read_record(root / f"n{latent}" / "metrics.json").final.test
        assert record.elbo.mean < (metrics.elbo or 0) + 60
        assert record.gap.mean > 0
        found = evidence_columns(record)
        assert set(found) == {f"evidence_{column}" for column in EVIDENCE_COLUMNS}
        assert found["evidence_mean"] == record.log_p.mean
        assert found["evidence_error"] is not None
    assert record is not None
    assert record.annealing is not None
    assert record.importance is not None
    assert record.bidirectional is not None
    assert set(record.importance.bounds) == {"100"}
    assert set(evidence_columns(None).values()) == {None}


def test_a_measurement_that_was_stopped_goes_on_with_the_same_result(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(made, tmp_path)
    monkeypatch.setattr(method, "CHAINS_AT_ONCE", {"cpu": 4})  # blocks of two images
    measured(root, 3)
    whole = (root / "n3" / "evidence.npz").read_bytes()
    with np.load(root / "n3" / "evidence.npz") as arrays:
        second = arrays["log_p"][2:4]
    # A block is of the images that it says.
    density = vaebench.load_run(root / "n3", device="cpu").density()
    images = np.load(root / "data/prepared/digits/test_images.npy")[2:4].reshape(2, -1)
    x = density.data(torch.from_numpy(images))
    by_hand = annealed(density, x, density.encode(x), 8, 2, 0, "2").log_p
    np.testing.assert_allclose(second, by_hand.numpy(), rtol=1e-6)
    again = copied(made, tmp_path / "again")
    done: list[Any] = []

    def stopped(*arguments: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(arguments)
        return annealed(*arguments)

    def counted(*arguments: Any) -> Any:
        done.append(arguments)
        return annealed(*arguments)

    monkeypatch.setattr(method, "annealed", stopped)
    with pytest.raises(KeyboardInterrupt):
        measured(again, 3)
    assert not (again / "n3" / "evidence.json").exists()
    assert len(list((again / "store" / "evidence").rglob("annealing-*.npz"))) == 2
    done.append(())  # one block of three is left
    monkeypatch.setattr(method, "annealed", counted)
    measured(again, 3)
    assert len(done) == 4
    assert (again / "n3" / "evidence.npz").read_bytes() == whole
    assert not list((again / "store" / "evidence").iterdir())


def test_blocks_on_a_grid_are_of_the_images_that_they_say(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are known from the check of the grid, and others are summed."""
    root = copied(made, tmp_path)
    whole = measured(root, 2).evidence
    with np.load(root / "n2" / "evidence.npz") as file:
        expected = dict(file)
    again = copied(made, tmp_path / "again")
    monkeypatch.setattr("vaebench.evidence.grid.CHECKED_IMAGES", 3)
    monkeypatch.setattr(method, "GRID_IMAGES", 2)  # the second block is known in part
    found = measured(again, 2).evidence
    assert whole is not None
    assert found is not None
    assert (found.grid and found.grid.points) == (whole.grid and whole.grid.points)
    with np.load(again / "n2" / "evidence.npz") as file:
        for name, values in expected.items():
            np.testing.assert_allclose(file[name], values, rtol=1e-3, atol=1e-3, err_msg=name)


def test_what_is_measured_is_kept_and_not_measured_again(made: Path, tmp_path: Path) -> None:
    root = copied(made, tmp_path)
    measured(root, 2)
    folder, record = root / "n2", read_record(root / "n2" / "metrics.json")
    before = (folder / "evidence.json").read_bytes()
    (folder / "model.safetensors").unlink()
    measured(root, 2)  # needs no weights
    (folder / "evidence.json").unlink()
    measured(root, 2)  # comes from the store
    assert (folder / "evidence.json").read_bytes() == before
    assert EVIDENCE.is_in(folder, record, PLAN)
    assert not EVIDENCE.is_in(folder, record, EvidencePlan())
    (folder / "evidence.npz").write_bytes(b"")
    assert not EVIDENCE.is_in(folder, record, PLAN)
    with pytest.raises(UserError, match="this is measured from weights"):
        measured(root, 2, EvidencePlan(**FAST | {"seed": 1}))
    measured(root, 2)
    for key in ("run_hash", "weights", "sources"):
        text = (folder / "evidence.json").read_text()
        forge(folder / "evidence.json", f'"{key}": "', f'"{key}": "0')
        assert not EVIDENCE.is_in(folder, record, PLAN)
        (folder / "evidence.json").write_text(text)


def test_a_diverged_run_has_no_evidence(made: Path, tmp_path: Path) -> None:
    root = copied(made, tmp_path)
    forge(root / "n2" / "metrics.json", '"completed"', '"diverged"')
    assert measured(root, 2).evidence is None


def test_a_grid_that_does_not_converge_gives_way_to_annealing(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vaebench.evidence import grid

    root = copied(made, tmp_path)
    monkeypatch.setattr(grid, "MOST_MOVED", 0.0)
    monkeypatch.setattr(grid, "MOST_POINTS", {2: 120})
    record = measured(root, 2).evidence
    assert record is not None
    assert record.method == "ais"
    with pytest.raises(UserError, match="the grid is too coarse"):
        measured(root, 2, EvidencePlan(**FAST | {"method": "grid"}))
    with pytest.raises(UserError, match=r"1 or 2 latent dimensions \(found 3\)"):
        measured(root, 3, EvidencePlan(**FAST | {"method": "grid"}))


def test_the_command_and_python_measure_the_same(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(made, tmp_path)
    monkeypatch.chdir(root)
    options = [f"--{name}={value}" for name, value in FAST.items()]
    done = CliRunner().invoke(app, ["evidence", "n2", "--store", "store", *options])
    assert done.exit_code == 0, done.output
    assert "n2/evidence.json" in done.output
    by_command = read_as(EvidenceRecord, Path("n2/evidence.json"), "")
    run = vaebench.load_run("n2", device="cpu")
    found = run.evidence(**FAST)
    assert found.record == by_command.evidence
    images = np.load("data/prepared/digits/test_images.npy")[:6]
    given = run.evidence(images, refined=2)
    assert given.record.images == 6
    np.testing.assert_allclose(given.arrays["log_p"], found.arrays["log_p"])
    with pytest.raises(UserError, match=r"evidence: temperature: .*known: method, images, temper"):
        run.evidence(temperature=3)
    assert not list(Path("store/runs").rglob("evidence.json")), "the store keeps what tiers ask for"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the folders of runs, or --tier with --experiment"),
        (["n2", "--cell", "seed~0"], "give the folders of runs, or --tier with --experiment"),
        (["nowhere"], "is not the folder of a run"),
        (["n2", "--chains", "0"], "evidence: chains: Input should be greater than or equal to 1"),
        (["n2", "--method", "exact"], "found 'exact'"),
    ],
)
def test_wrong_options_are_explained(
    arguments: list[str], message: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    done = CliRunner().invoke(app, ["evidence", *arguments])
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


def test_an_experiment_says_how_its_evidence_is_measured(settings: MakeSettings) -> None:
    values: dict[str, Any] = {
        "name": "x",
        "settings": {k: v for k, v in settings().given().items() if k != "seed"},
        "axes": {"seed": [0]},
    }
    plans = {}
    for wish in (False, True, {"images": 20, "temperatures": 50}):
        plans[json.dumps(wish)] = Experiment.model_validate(
            values | {"evidence": wish}
        ).evidence_plan
    assert list(plans.values()) == [None, EvidencePlan(), EvidencePlan(images=20, temperatures=50)]
    with pytest.raises(ValueError, match="temperature"):
        Experiment.model_validate(values | {"evidence": {"temperature": 50}})
    values["settings"] = values["settings"] | {"latent_dim": 3}
    with pytest.raises(ValueError, match=r"evidence\.method: a grid is for .*latent_dim 3"):
        Experiment.model_validate(values | {"evidence": {"method": "grid"}})


def test_black_and_white_images_have_a_log_likelihood(made: Path) -> None:
    run = vaebench.load_run(made / "n2", device="cpu")
    images = (np.load(made / "data/prepared/digits/test_images.npy")[:3] > 127).astype(np.float32)
    assert run.evidence(images, refined=0).record.is_log_likelihood
    assert not run.evidence(images * 0.5, refined=0).record.is_log_likelihood
