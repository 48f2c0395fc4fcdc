"""Every figure, table and claim of the reduced grid, on its own axes with hardly any training."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib import image as mpimage

from tests.conftest import PROJECT, read_json
from tests.tiers import CPU, forge, train_tier
from vaebench.claims.write import write_ledger
from vaebench.equations import state
from vaebench.errors import UserError
from vaebench.evidence import grid
from vaebench.experiment.figures import runs_to_show
from vaebench.experiment.grid import expand
from vaebench.experiment.tier import Tier, load_tier
from vaebench.figures.draw import draw_figure
from vaebench.page.assemble import write_page
from vaebench.paths import Layout
from vaebench.quality import classifier as classifiers
from vaebench.quality.evaluate import EvaluationTarget, evaluate_runs, make_classifier
from vaebench.reporting.faces import write_faces
from vaebench.reporting.tables import write_tables
from vaebench.results.collect import collect
from vaebench.results.read import load_results

FACES = ("fig07", "fig16", "fig17", "fig_faces")
PAPER_VALUES = PROJECT / "config" / "paper_values.yaml"


def hardly_trained() -> Tier:
    """config/smoke.yaml with its axes, but one epoch of a tiny network and two seeds."""
    values: dict[str, Any] = yaml.safe_load((PROJECT / "config" / "smoke.yaml").read_text())
    for experiment in values["experiments"]:
        if experiment["name"] == "celeba":
            experiment["settings"] |= {"steps": 2, "batch_size": 8}
        else:
            few = {
                "epochs": 2, "hidden_units": 8, "hidden_layers": 1, "batch_size": 300,
                "learning_rate": 0.003,
            }  # fmt: skip
            axes = experiment["axes"]
            experiment["settings"] |= {key: few[key] for key in few if key not in axes}
            if "epochs" in axes:
                axes["epochs"] = [1, 2]
        experiment["axes"]["seed"] = [0, 1]
        if "latent" in experiment:
            experiment["latent"] = {"draws": 20, "images": 0, "samples": 0, "turned": 0}
        if "dependence" in experiment:
            experiment["dependence"] = {"images": 20, "draws": 25, "regressed": 50}
        if "evidence" in experiment:
            experiment["evidence"] = {
                **{"method": "ais", "images": 2, "temperatures": 4, "chains": 2, "draws": 25},
                **{"simulated": 2, "refined": 2},
            }
        if "equations" in experiment:
            experiment["equations"] = {
                **{"images": 3, "refined": 3, "regressed": 4, "temperatures": 2, "chains": 2},
            }
    return Tier.model_validate(values)


def test_every_figure_table_and_claim_of_the_reduced_grid(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(data_root, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(classifiers, "LEAST_STEPS", 60)
    monkeypatch.setattr(grid, "POINTS", {2: 60})
    monkeypatch.setattr(state, "INITIAL_POINTS", 60)
    monkeypatch.setattr(state, "MOST_POINTS", 240)
    tier, layout = hardly_trained(), Layout(tmp_path / "results" / "smoke")
    measured = train_tier(tier, tmp_path)
    with pytest.raises(UserError, match=r"evaluation\.json is missing: measure it with: vaebench"):
        collect(tier, layout)

    make_classifier("digits", tmp_path / "data", layout.classifier("digits"), CPU)
    for targets in measured:
        evaluate_runs(targets, layout.classifier("digits"), tmp_path / "data", CPU)
    _weights_are_checked(measured[0], layout, tmp_path)
    collect(tier, layout)
    results = load_results(layout.root)
    for name in tier.figures:
        draw_figure(results, name)
        pixels = mpimage.imread(layout.figure(name, "png"))
        assert pixels.shape[1] > 700
        assert np.unique(pixels).size > 20, f"{name} is empty"
        svg = layout.figure(name, "svg").read_bytes()
        assert max(len(svg), layout.figure(name, "png").stat().st_size) <= 500_000
        draw_figure(results, name)
        assert layout.figure(name, "svg").read_bytes() == svg, f"{name} does not repeat"
        caption = layout.caption(name).read_text()
        of = "faces" if name in FACES else "digits"
        assert name == "fig01" or of in caption
    for experiment in tier.experiments:
        write_tables(results, experiment.name, PAPER_VALUES)
        lines = layout.table(experiment.name, "md").read_text().splitlines()
        groups = len(results.of(experiment.name)) // 2
        assert len(lines) == 2 + groups + 2  # its last line says what made it
        assert ("KID" in lines[0]) == experiment.sample_quality
    _faces_in_words(tier, layout, tmp_path / "celeba.md")
    for line in write_ledger(results, PAPER_VALUES):
        # The paper's numbers are of MNIST, two seeds have no spread and no correlation, and hardly
        # trained codes may collapse.
        may_lack = line.expects.endswith("in the prediction")
        may_lack = may_lack or any(words in line.reason for words in ("collapsed", "fewer than"))
        # Equations are measured on one experiment, and some claims about them are of others.
        may_lack = may_lack or line.reason in (
            f"'{name}' does not measure equations" for name in ("gaussian_scale", "baggins_scale")
        )
        assert line.verdict != "not run" or may_lack, line
    ledger = read_json(layout.claims("json"))
    assert ledger["tier"] == "smoke"
    assert "| fig04a-bilbo" in layout.claims("md").read_text()
    page = write_page(results).read_text()
    assert page.count('<figure id="fig') == len(tier.figures)
    assert "fluctuates up and down" in page
    _stale_measures_are_refused(tier, layout)


def _faces_in_words(tier: Tier, layout: Layout, page: Path) -> None:
    """The page on CelebA has a line for each method, with means of the runs' own numbers."""
    assert write_faces(tier, layout, page) == [page]
    assert write_faces(tier, layout, page) == []
    runs = load_results(layout.root).of("celeba")
    lines = [line.split(" | ") for line in page.read_text().splitlines() if "posterior_std" in line]
    assert len(lines) == 6
    for line in lines:
        objective, std = line[0].removeprefix("| ").split(", posterior_std ")
        own = runs[(runs["objective"] == objective) & (runs["posterior_std"] == float(std))]
        assert line[1] == "2"
        for column, cell in (("test_elbo", line[2]), ("fitted_prior_trace", line[7])):
            mean = cell.split(" [")[0].replace("−", "-")
            rounded = 0.51 * 10.0 ** -len(mean.partition(".")[2])
            assert float(mean) == pytest.approx(own[column].mean(), abs=rounded), column
    assert f"![Bounds and spreads of the CelebA runs]({layout.figure('fig_faces', 'png')}" in (
        page.read_text().replace("](", f"]({page.parent}/")
    )


def _weights_are_checked(targets: list[EvaluationTarget], layout: Layout, root: Path) -> None:
    """What is measured needs no weights again; what is not says that they are missing."""
    target = targets[0]
    weights = target.weights.read_bytes()
    before = target.evaluation.read_bytes()
    target.weights.unlink()
    evaluate_runs(targets, layout.classifier("digits"), root / "data", CPU)
    target.evaluation.unlink()
    with pytest.raises(UserError, match="samples are drawn from the weights"):
        evaluate_runs(targets, layout.classifier("digits"), root / "data", CPU)
    target.weights.write_bytes(weights[:-1] + b"\0")
    with pytest.raises(UserError, match="not the file that"):
        evaluate_runs(targets, layout.classifier("digits"), root / "data", CPU)
    target.weights.write_bytes(weights)
    evaluate_runs(targets, layout.classifier("digits"), root / "data", CPU)
    assert target.evaluation.read_bytes() == before


def _stale_measures_are_refused(tier: Tier, layout: Layout) -> None:
    path = next((layout.root / "runs").rglob("evaluation.json"))
    text = path.read_text()
    for key in ("run_hash", "weights", "classifier", "sources"):
        path.write_text(text)
        forge(path, f'"{key}": "', f'"{key}": "0')
        with pytest.raises(UserError, match="refused, made with other"):
            collect(tier, layout)
    path.write_text(text)
    path = next((layout.root / "runs").rglob("evidence.json"))
    text = path.read_text()
    for key in ("run_hash", "weights", "data", "sources", "arrays"):
        path.write_text(text)
        forge(path, f'"{key}": "', f'"{key}": "0')
        with pytest.raises(UserError, match=f"refused, made with other {key.split('_')[0]}"):
            collect(tier, layout)
    path.unlink()
    with pytest.raises(UserError, match=r"evidence\.json is missing: measure it with: vaebench ev"):
        collect(tier, layout)
    path.write_text(text)
    collect(tier, layout)


def test_each_figure_experiment_and_axis_of_the_paper_tier_has_its_counterpart() -> None:
    """The paper's experiments are two tiers: only one of them needs CelebA."""
    paper, celeba, smoke = (
        load_tier(PROJECT / "config" / f"{t}.yaml") for t in ("paper", "celeba", "smoke")
    )
    # Those after the paper's are of its equations, and of questions that are not the paper's.
    others = [
        figure
        for tier in ("evidence", "questions")
        for figure in load_tier(PROJECT / "config" / f"{tier}.yaml").figures
    ]
    assert smoke.figures == [*sorted([*paper.figures, *celeba.figures]), *others]
    assert smoke.figures[:17] == [f"fig{k:02}" for k in range(1, 18)]
    experiments = [*paper.experiments, *celeba.experiments]
    counterparts = smoke.experiments[: len(experiments)]
    assert [e.name for e in counterparts] == [e.name for e in experiments]
    for of_paper, reduced in zip(experiments, counterparts, strict=True):
        assert list(reduced.axes) == list(of_paper.axes)
        assert reduced.packed == of_paper.packed
        assert reduced.sample_quality == of_paper.sample_quality
        for axis, values in reduced.axes.items():
            if axis in ("objective", "likelihood"):
                assert values == of_paper.axes[axis]
            elif axis != "latent_dim":
                assert set(values) <= set(of_paper.axes[axis])


@pytest.mark.parametrize("name", ["smoke", "reduced"])
def test_small_tiers_measure_what_their_figures_show(name: str) -> None:
    tier, paper, evidence = (
        load_tier(PROJECT / "config" / f"{t}.yaml") for t in (name, "paper", "evidence")
    )
    assert {*paper.figures, *evidence.figures} <= set(tier.figures)
    for figure in evidence.figures:
        found, *_ = runs_to_show(figure, tier.experiments)
        assert found is not None
        assert found.experiment.evidence_plan is not None
        assert found.experiment.equations_plan is not None


def test_the_paper_tier_has_the_papers_epochs() -> None:
    paper = load_tier(PROJECT / "config" / "paper.yaml")
    epochs = {
        (run.settings.likelihood == "bernoulli", run.settings.latent_dim, run.settings.epochs)
        for experiment in paper.experiments
        for cell in expand(experiment)
        for run in cell.runs
    }
    assert epochs == {(True, 2, 200), (True, 100, 200), (False, 2, 200), (False, 100, 400)}
