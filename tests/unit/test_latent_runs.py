"""The aggregated posterior of finished runs: files, what is kept, the command, Python, verdicts."""

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
from vaebench.evidence import grid
from vaebench.execution.session import Resources, Target, train_targets
from vaebench.experiment.grid import Experiment
from vaebench.experiment.latent import LatentPlan
from vaebench.experiment.settings import Settings
from vaebench.latent.measure import measure_runs
from vaebench.latent.report import report
from vaebench.latent.verdict import is_identified, verdict
from vaebench.quality import classifier as classifiers
from vaebench.results.latent import LATENT_COLUMNS, latent_columns
from vaebench.runs.latent_record import Latent, LatentRecord, Uncertain
from vaebench.runs.measurement import RunFiles
from vaebench.runs.measures import LATENT
from vaebench.runs.record import read_as, read_record

FAST: dict[str, Any] = {"draws": 300, "images": 5, "samples": 60, "turned": 3}
PLAN = LatentPlan(**FAST)
OBJECTIVES = {"n2": "learned", "n3": "full-floating"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    """A folder with data, a store, a `learned` run with n = 2, and n = 3 with full matrices."""
    root = tmp_path_factory.mktemp("runs")
    shutil.copytree(data_root, root / "data")
    for name, objective in OBJECTIVES.items():
        target = Target(
            _settings(int(name[1]), objective), root / name, root / name / "model.safetensors"
        )
        assert train_targets("x", [target], Resources(CPU, root / "data", root / "store", 10))
    return root


def _settings(latent: int, objective: str) -> Settings:
    return Settings.model_validate(
        {
            **{"dataset": "digits", "likelihood": "bernoulli", "objective": objective},
            **{"latent_dim": latent, "network": "mlp", "hidden_units": 16, "hidden_layers": 1},
            **{"batch_size": 100, "learning_rate": 0.003, "epochs": 15, "seed": 0},
        }
    )


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers, "LEAST_STEPS", 30)
    monkeypatch.setitem(grid.POINTS, 2, 150)
    monkeypatch.setitem(grid.MOST_POINTS, 2, 600)


def copied(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "root")
    return tmp_path / "root"


def measured(root: Path, name: str, plan: LatentPlan = PLAN, **options: Any) -> LatentRecord:
    folder = root / name
    target = RunFiles(folder, folder / "model.safetensors")
    measure_runs([target], plan, root / "data", CPU, root / "store", **options)
    return read_as(LatentRecord, folder / "latent.json", "")


def test_records_arrays_and_columns_agree(made: Path, tmp_path: Path) -> None:
    root = copied(made, tmp_path)
    for name in OBJECTIVES:
        latent = measured(root, name).latent
        assert latent is not None
        found = latent.mismatch
        error = 4 * ((found.kl.error or 0) + (found.information.error or 0))
        assert found.rate == pytest.approx(found.information.value + found.kl.value, abs=error)
        rate = read_record(root / name / "metrics.json").final.train.rate
        assert found.rate == pytest.approx(rate, rel=1e-3)
        assert found.shape == pytest.approx(found.kl.value - found.linear)
        assert found.is_standard == (name == "n2")
        with np.load(root / name / "latent.npz") as arrays:
            samples = {key: arrays[key] for key in arrays.files if key.startswith("samples")}
            covariance = arrays["covariance"]
            assert {x.shape for x in samples.values()} == {(48, 28, 28)}
            assert ("log_density" in arrays.files) == (name == "n2")
            if name == "n3":
                # By Eq. 4 a full floating prior has the second moments of the codes.
                second = covariance + np.outer(arrays["mean"], arrays["mean"])
                np.testing.assert_allclose(second, np.eye(3), atol=1e-3)
            else:
                assert arrays["kl"].sum() == pytest.approx(found.rate)
        mean_variance = np.trace(covariance) / int(name[1])
        assert latent.moments.variance_mean_all == pytest.approx(mean_variance)
        columns = latent_columns(latent)
        assert set(columns) == {f"latent_{column}" for column in LATENT_COLUMNS}
        assert columns["latent_kl"] == found.kl.value
        assert latent.samples is not None
        assert columns["latent_coverage_aggregated"] == latent.samples.aggregated.coverage
        assert latent.axes is not None
        assert (latent.axes.source, latent.axes.loss_source) == (
            "grid" if name == "n2" else "curvature",
            "curvature",
        )
        assert latent.axes.correlation is not None
        assert (latent.axes.correlation == 0) == (name == "n2")
        assert latent.axes.best <= latent.axes.loss
        assert str(report(latent)).startswith("Sampling") or "do not tell" in str(report(latent))
    two, three = (measured(root, name).latent for name in OBJECTIVES)
    assert two is not None
    assert three is not None
    assert two.mismatch.kl_on_grid == pytest.approx(two.mismatch.kl.value, abs=0.2)
    assert two.evidence is not None
    assert three.evidence is None
    assert "one or two" in three.not_measured["evidence"]
    assert three.mismatch.linear_from_standard > three.mismatch.linear
    assert set(latent_columns(None).values()) == {None}


def test_the_evidence_under_the_prior_is_that_of_vaebench_evidence(
    made: Path, tmp_path: Path
) -> None:
    latent = measured(copied(made, tmp_path), "n2").latent
    assert latent is not None
    assert latent.evidence is not None
    exact = vaebench.load_run(made / "n2", device="cpu", data=made / "data").evidence(5, refined=0)
    assert latent.evidence.prior == pytest.approx(exact.record.log_p.mean, abs=0.02)


def test_what_is_measured_is_kept_and_not_measured_again(made: Path, tmp_path: Path) -> None:
    root = copied(made, tmp_path)
    measured(root, "n2")
    folder, record = root / "n2", read_record(root / "n2" / "metrics.json")
    before = (folder / "latent.json").read_bytes()
    (folder / "model.safetensors").unlink()
    measured(root, "n2")  # needs no weights
    (folder / "latent.json").unlink()
    measured(root, "n2")  # comes from the store
    assert (folder / "latent.json").read_bytes() == before
    assert LATENT.is_in(folder, record, PLAN)
    assert not LATENT.is_in(folder, record, LatentPlan())
    with pytest.raises(UserError, match=r"model\.safetensors is missing"):
        measured(root, "n2", LatentPlan(**FAST | {"seed": 1}))
    for key in ("run_hash", "weights", "sources"):
        text = (folder / "latent.json").read_text()
        forge(folder / "latent.json", f'"{key}": "', f'"{key}": "0')
        assert not LATENT.is_in(folder, record, PLAN)
        (folder / "latent.json").write_text(text)
    (folder / "latent.npz").write_bytes(b"")
    assert not LATENT.is_in(folder, record, PLAN)
    assert len(list((root / "store" / "classifiers").iterdir())) == 1


def test_the_same_seed_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    contents = []
    for place in ("a", "b"):
        root = copied(made, tmp_path / place)
        measured(root, "n3")
        contents.append(
            [(root / "n3" / name).read_bytes() for name in ("latent.json", "latent.npz")]
        )
    assert contents[0] == contents[1]


def test_a_diverged_run_has_nothing(made: Path, tmp_path: Path) -> None:
    root = copied(made, tmp_path)
    forge(root / "n2" / "metrics.json", '"completed"', '"diverged"')
    assert measured(root, "n2").latent is None


def test_the_command_and_python_say_the_same(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(made, tmp_path)
    monkeypatch.chdir(root)
    options = [f"--{name}={value}" for name, value in FAST.items()]
    done = CliRunner().invoke(app, ["latent", "n2", "--store", "store", *options])
    assert done.exit_code == 0, done.output
    by_command = read_as(LatentRecord, Path("n2/latent.json"), "").latent
    assert by_command is not None
    assert "What to do: " in done.output
    assert f"{by_command.mismatch.kl.value:.2f} nats" in done.output
    found = vaebench.load_run("n2", device="cpu").latent(**FAST)
    assert found.record == by_command
    assert str(found.report) in done.output
    without = vaebench.load_run("n2", device="cpu").latent(**FAST | {"samples": 0}).record
    assert without.not_measured["samples"] == "not asked for"
    assert not list(Path("store/runs").rglob("latent.json")), "the store keeps what tiers ask for"
    with pytest.raises(UserError, match=r"latent: drawn: .*known: draws, images, samples"):
        vaebench.load_run("n2", device="cpu").latent(drawn=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the folders of runs, or --tier with --experiment"),
        (["n2", "--cell", "seed~0"], "give the folders of runs, or --tier with --experiment"),
        (["nowhere"], "is not the folder of a run"),
        (["n2", "--draws", "1"], "latent: draws: Input should be greater than or equal to 2"),
    ],
)
def test_wrong_options_are_explained(
    arguments: list[str], message: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    done = CliRunner().invoke(app, ["latent", *arguments])
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


def test_samples_of_the_fitted_gaussian_have_its_moments(made: Path) -> None:
    run = vaebench.load_run(made / "n3", device="cpu", data=made / "data")
    images = np.load(made / "data/prepared/digits/train_images.npy")
    by_hand = run.sample(3, prior="gaussian", images=images, seed=5)
    assert by_hand.shape == (3, 28, 28)
    np.testing.assert_array_equal(by_hand, run.sample(3, prior="gaussian", seed=5))
    from vaebench.latent.mixture import fitted_gaussian

    levels = torch.from_numpy(images.reshape(len(images), -1))
    mean, factor = fitted_gaussian(run.density(), levels)
    codes = run.encode(images)
    np.testing.assert_allclose(mean.numpy(), codes.mean.mean(0), atol=1e-4)
    expected = codes.mean.var(0) + (codes.std**2).mean(0)
    np.testing.assert_allclose((factor @ factor.T).diagonal().numpy(), expected, rtol=1e-4)


def test_an_experiment_says_how_it_is_measured(settings: MakeSettings) -> None:
    values: dict[str, Any] = {
        "name": "x",
        "settings": {k: v for k, v in settings().given().items() if k != "seed"},
        "axes": {"seed": [0]},
    }
    plans = [
        Experiment.model_validate(values | {"latent": wish}).latent_plan
        for wish in (False, True, {"draws": 20})
    ]
    assert plans == [None, LatentPlan(), LatentPlan(draws=20)]
    with pytest.raises(ValueError, match="drawn"):
        Experiment.model_validate(values | {"latent": {"drawn": 50}})


@pytest.fixture(scope="module")
def judged(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Latent:
    """What is measured of a run, to be changed."""
    root = copied(made, tmp_path_factory.mktemp("judged"))
    latent = measured(root, "n2", LatentPlan(draws=50, images=0, samples=0, turned=0)).latent
    assert latent is not None
    assert set(latent.not_measured) == {"evidence", "samples", "axes"}
    return latent


def sure(value: float) -> Uncertain:
    return Uncertain(value=value, error=0.01)


@pytest.mark.parametrize(
    ("kl", "held_out", "gaussian", "answer", "advice"),
    [
        (0.4, 0.35, 0.1, "safe", "Sample z from N(0, I)"),
        (5.0, 4.8, 4.7, "unsafe", "prior='gaussian'"),
        (5.0, 4.8, 0.3, "unsafe", "prior='aggregated'"),
        (9.0, -20.0, 0.3, "undecided", "nothing better can be fitted"),
        (9.0, -20.0, 3.0, "unsafe", "prior='gaussian'"),
        (0.99, 0.9, 0.2, "undecided", "nothing better"),
    ],
)
def test_verdicts_follow_from_the_bracket(
    kl: float, held_out: float, gaussian: float, answer: str, advice: str,
    judged: Latent,
) -> None:  # fmt: skip
    latent = judged
    changed = {"kl": sure(kl), "held_out": sure(held_out), "gaussian_gain": sure(gaussian)}
    mismatch = latent.mismatch.model_copy(update=changed)
    given: Latent = latent.model_copy(update={"mismatch": mismatch})
    found = verdict(given)
    assert found.answer == answer
    assert advice in found.advice
    assert is_identified(given) == (held_out > 0)
    floating = mismatch.model_copy(update={"is_standard": False, "linear_from_standard": 77.0})
    text = str(report(given.model_copy(update={"mismatch": floating})))
    assert "Never sample z from N(0, I)" in text
    assert "77.0 nats" in text
