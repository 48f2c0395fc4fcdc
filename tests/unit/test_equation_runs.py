"""The equations of finished runs: records, the command, the table, claims and identities."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from typer.testing import CliRunner

from tests.linear_runs import CPU
from tests.made_results import made
from tests.unit.test_equation_claims import tier
from vaebench.cli import app
from vaebench.equations import priors, state
from vaebench.equations.measure import measure_runs
from vaebench.equations.states import untrained
from vaebench.errors import UserError
from vaebench.execution.session import Resources, Target, train_targets
from vaebench.experiment.equations import EQUATION_STATISTICS, EquationsPlan
from vaebench.experiment.settings import Settings
from vaebench.paths import Layout
from vaebench.results import equations as collected
from vaebench.runs.equations_record import Equations, EquationsRecord
from vaebench.runs.measurement import RunFiles
from vaebench.runs.measures import EQUATIONS
from vaebench.runs.record import read_as, read_record

FAST: dict[str, Any] = {
    "images": 6, "refined": 4, "regressed": 5, "temperatures": 6, "chains": 2,
}  # fmt: skip
PLAN = EquationsPlan(**FAST)
RUNS: dict[str, dict[str, Any]] = {
    "learned": {"objective": "learned", "likelihood": "bernoulli", "latent_dim": 2},
    "bilbo": {"objective": "bilbo", "likelihood": "gaussian", "latent_dim": 3},
    "baggins": {"objective": "bilbo", "likelihood": "baggins", "tau": 0.2, "latent_dim": 3},
    "other": {"objective": "learned", "likelihood": "gaussian-learned", "latent_dim": 2},
}


def settings(name: str) -> Settings:
    own: dict[str, Any] = {"network": "mlp", "hidden_units": 16, "hidden_layers": 2}
    rest = {"dataset": "digits", "batch_size": 100, "learning_rate": 0.001, "epochs": 1, "seed": 0}
    return Settings.model_validate(RUNS[name] | own | rest)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    """A folder with data, a store and runs, with equations."""
    root = tmp_path_factory.mktemp("runs")
    shutil.copytree(data_root, root / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaebench.evidence.grid.POINTS", {1: 300, 2: 60})
        patch.setattr(state, "INITIAL_POINTS", 60)
        patch.setattr(state, "MOST_POINTS", 240)
        for name in RUNS:
            folder = root / name
            target = Target(settings(name), folder, folder / "model.safetensors")
            assert train_targets("x", [target], Resources(CPU, root / "data", root / "store", 10))
        targets = [target_of(root, name) for name in RUNS]
        measure_runs(targets, PLAN, root / "data", CPU, root / "store", keep=False)
    return root


def target_of(root: Path, name: str) -> RunFiles:
    return RunFiles(root / name, root / name / "model.safetensors")


def record_of(root: Path, name: str) -> EquationsRecord:
    return read_as(EquationsRecord, root / name / "equations.json", "")


def equations_of(root: Path, name: str) -> Equations:
    found = record_of(root, name).equations
    assert found is not None
    return found


def test_every_statistic_is_measured_where_it_has_a_meaning(runs: Path) -> None:
    constant = {name for name in EQUATION_STATISTICS if name.startswith(("eq23", "eq24"))}
    bounded = {name for name in EQUATION_STATISTICS if name.startswith(("eq28", "eq30"))}
    for name, lacking in (
        ("learned", constant | bounded),
        ("bilbo", bounded),
        ("baggins", set[str]()),
    ):
        found = equations_of(runs, name)
        expected = set(EQUATION_STATISTICS) - lacking
        assert set(found.trained) == set(found.initial) == expected
        assert set(found.refined) == {k for k in expected if k[:4] in {"eq9_"} or k[:4] in (
            "eq11", "eq12", "eq16", "eq17", "eq18")}  # fmt: skip
        assert all(value is not None for value in found.trained.values())
        assert found.images == 6
        assert found.refined_images == 4


def test_identities_hold_to_rounding_before_and_after_training(runs: Path) -> None:
    for name in ("bilbo", "baggins"):
        found = equations_of(runs, name)
        for values in (found.trained, found.initial):
            for key in ("eq4_deviation", "eq4_gain", "eq23_error", "eq24_error", "eq20_error"):
                assert abs(values[key] or 0) < 1e-6, key
            assert (values["eq26_error"] or 0) < 1e-3
            assert (values["eq7_check"] or 0) < 1e-4
    assert abs(equations_of(runs, "baggins").trained["eq30_error"] or 0) < 1e-6


def test_theorems_hold_on_trained_runs(runs: Path) -> None:
    for name in ("learned", "bilbo", "baggins"):
        found = equations_of(runs, name)
        assert (found.trained["eq6_train_gain"] or 0) > 0
        assert (found.trained["eq22_predicted"] or 0) >= 0
        assert (found.trained["eq12_diagonal_loss"] or 0) >= 0
        # Refined, the bound is higher and the mean is stationary.
        assert (found.refined["eq9_gradient"] or 0) < (found.trained["eq9_gradient"] or 0)


def test_a_likelihood_with_other_terms_is_refused_with_the_reason(runs: Path) -> None:
    record = record_of(runs, "other")
    assert record.equations is None
    assert "likelihood 'gaussian-learned'" in str(record.refused)
    assert EQUATIONS.is_in(runs / "other", read_record(runs / "other" / "metrics.json"), PLAN)


def test_initial_weights_are_those_that_training_started_from(runs: Path) -> None:
    from vaebench.data.prepared import load
    from vaebench.models.make import make_vae

    images = load(runs / "data" / "prepared", "digits").train_images
    levels = torch.from_numpy(images.reshape(len(images), -1))[:200]
    density = untrained(settings("baggins"), levels, (28, 28), CPU)
    vae = make_vae([settings("baggins")], (28, 28), CPU)
    for name, tensor in vae.network.initialise([settings("baggins")], CPU).items():
        assert torch.equal(density.parameters[name], tensor)
    whole = density.encode(density.data(levels))
    fitted = priors.fit(whole).variances
    torch.testing.assert_close(density.prior.variance[0, 0], fitted, rtol=1e-6, atol=0)
    assert density.variance is not None
    assert 0 < density.variance < 1


def test_arrays_have_what_figures_need(runs: Path) -> None:
    with np.load(runs / "learned" / "equations.npz") as arrays:
        assert arrays["log_p"].shape == (6,)
        assert arrays["ratio"].shape == arrays["ratio_initial"].shape == (6, 2)
        assert arrays["closed_manifold"].shape == arrays["network_manifold"].shape == (144, 28, 28)
        joint, extent = arrays["posterior_log_joint"], arrays["posterior_extent"]
        assert joint.shape == (6, 121, 121)
        left, right, bottom, top = extent[0]
        mean, std = arrays["encoder_mean"][0], arrays["encoder_std"][0]
        assert [left, right] == pytest.approx([mean[0] - 6 * std[0], mean[0] + 6 * std[0]])
        assert [bottom, top] == pytest.approx([mean[1] - 6 * std[1], mean[1] + 6 * std[1]])
    with np.load(runs / "bilbo" / "equations.npz") as arrays:
        assert "closed_manifold" not in arrays


def test_a_run_that_is_measured_is_skipped_and_one_by_another_plan_is_not(
    runs: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs / "bilbo", tmp_path / "bilbo")
    record = read_record(tmp_path / "bilbo" / "metrics.json")
    assert EQUATIONS.is_in(tmp_path / "bilbo", record, PLAN)
    assert not EQUATIONS.is_in(tmp_path / "bilbo", record, EquationsPlan(**FAST | {"images": 7}))
    path = tmp_path / "bilbo" / "equations.json"
    path.write_text(path.read_text().replace('"images": 6', '"images": 5'))
    assert not EQUATIONS.is_in(tmp_path / "bilbo", record, PLAN)


def test_changed_weights_are_refused(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "bilbo", tmp_path / "bilbo")
    (tmp_path / "bilbo" / "equations.json").unlink()
    (tmp_path / "bilbo" / "model.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match="is not the file that"):
        measure_runs([target_of(tmp_path, "bilbo")], PLAN, runs / "data", CPU, tmp_path / "store")


def test_the_command_says_what_is_wrong() -> None:
    runner = CliRunner()
    for arguments, text in (
        ([], "give the folders of runs, or --tier"),
        (["--tier", "smoke", "--images", "3"], "give --experiment to measure its runs"),
        (["x", "--tier", "smoke", "--experiment", "posterior_variance"], "not both"),
    ):
        found = runner.invoke(app, ["equations", *arguments])
        assert text in str(found.exception), arguments


# Identities of objectives, against the package's own


def test_posteriors_of_few_images_fill_a_figure(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figure has a least width, and grows with the number of images."""
    from vaebench.figures.fig_posterior import draw
    from vaebench.results.read import Results, Selection

    layout = Layout(tmp_path)
    path = layout.equations("posterior_variance", "x").with_suffix(".npz")
    path.parent.mkdir(parents=True)
    with np.load(runs / "learned" / "equations.npz") as file:
        arrays = dict(file)
    row = {"experiment": "posterior_variance", "folder": "x", "objective": "learned", "seed": 0}
    values = pd.DataFrame(
        [row | {"state": "trained", "statistic": "eq18_gap", "value": 1.0}],
        columns=list(collected.COLUMNS),
    )
    monkeypatch.setattr(collected, "equation_values", lambda _: values)
    rows = made([row]).runs
    for images, width in ((1, 6.4), (2, 6.4), (6, 11.4)):
        of_images = [name for name in arrays if name.startswith(("posterior_", "encoder_"))]
        np.savez(path, **arrays | {name: arrays[name][:images] for name in of_images})
        results = Results(layout, tier(), rows, pd.DataFrame())
        drawn = draw(results, Selection("posterior_variance", (), rows, rows))
        assert drawn.figure.get_figwidth() == pytest.approx(width)
        assert len(drawn.figure.axes) == images
        plt.close(drawn.figure)


def test_a_figure_shows_the_equations_over_training(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vaebench.figures.fig_stationarity import draw
    from vaebench.results.read import Results, Selection

    layout = Layout(tmp_path)
    rows: list[dict[str, Any]] = []
    values: list[dict[str, Any]] = []
    for epochs in (1, 5, 20):
        experiment = "posterior_variance" if epochs == 20 else "during_training"
        key: dict[str, Any] = {"experiment": experiment, "folder": f"{epochs}"}
        path = layout.equations(experiment, f"{epochs}").with_suffix(".npz")
        path.parent.mkdir(parents=True)
        path.write_bytes((runs / "learned" / "equations.npz").read_bytes())
        rows.append(key | {"objective": "learned", "seed": 0, "epochs": epochs})
        for age in ("initial", "trained", "refined"):
            named = {"state": age, "statistic": "eq12_exact", "value": 0.1}
            values += [key | named, key | named | {"statistic": "eq12_averaged"}]
    table = pd.DataFrame(values, columns=list(collected.COLUMNS))
    monkeypatch.setattr(collected, "equation_values", lambda _: table)
    of_all = made(rows).runs
    whole = of_all[of_all["experiment"] == "posterior_variance"]
    shorter = of_all[of_all["experiment"] == "during_training"]
    results = Results(layout, tier(), of_all, pd.DataFrame())
    selections = [
        Selection(name, (), own, own)
        for name, own in (("posterior_variance", whole), ("during_training", shorter))
    ]
    drawn = draw(results, *selections)
    (ax,) = drawn.figure.axes
    ticks = [text.get_text() for text in ax.get_xticklabels()]
    assert ticks == ["0", "1", "5", "20", "refined"]
    assert len(drawn.shown) == 3
    plt.close(drawn.figure)
    alone = draw(results, selections[0], Selection("", (), of_all.iloc[:0], pd.DataFrame()))
    assert [text.get_text() for text in alone.figure.axes[0].get_xticklabels()] == [
        "0", "20", "refined",
    ]  # fmt: skip
    plt.close(alone.figure)


def test_collected_statistics_have_to_be_of_the_run(runs: Path, tmp_path: Path) -> None:
    """A record of other weights, plan or arrays is refused."""
    from vaebench.experiment.grid import Experiment, Run

    layout = Layout(tmp_path)
    experiment = Experiment.model_validate(
        {
            "name": "x",
            "equations": FAST,
            "settings": {k: v for k, v in settings("bilbo").given().items() if k != "seed"},
            "axes": {"seed": [0]},
        }
    )
    run = Run(settings("bilbo"), Path("run"))
    shutil.copytree(runs / "bilbo", layout.run("x", "run"))
    record = read_record(layout.run("x", "run") / "metrics.json")
    rows = collected.equation_rows(layout, experiment, run, record)
    assert {row["state"] for row in rows} == {"trained", "refined", "initial"}
    assert {row["statistic"] for row in rows} <= set(EQUATION_STATISTICS)
    other = experiment.model_copy(update={"equations": True})
    with pytest.raises(UserError, match="made with other plan"):
        collected.equation_rows(layout, other, run, record)
    (layout.run("x", "run") / "equations.npz").write_bytes(b"")
    with pytest.raises(UserError, match="made with other arrays"):
        collected.equation_rows(layout, experiment, run, record)
