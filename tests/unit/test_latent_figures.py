"""Figures of the aggregated posterior, from runs that are trained and measured."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.tiers import train_tier
from vaebench.evidence import grid
from vaebench.experiment.figures import FIGURES, runs_to_show
from vaebench.experiment.tier import Tier, dump_tier
from vaebench.figures import fig_aggregated, fig_covariance, fig_latent_samples, fig_match
from vaebench.figures.draw import draw_figure
from vaebench.figures.style import Drawing
from vaebench.paths import Layout
from vaebench.results.collect import collect
from vaebench.results.read import Results, Selection, load_results

NAMES = ["fig_covariance", "fig_aggregated", "fig_match", "fig_latent_samples"]
COMMON = {
    **{"dataset": "digits", "likelihood": "bernoulli", "batch_size": 300, "network": "mlp"},
    **{"learning_rate": 0.003, "hidden_units": 8},
}
PLAN = {"draws": 40, "images": 0, "samples": 0, "turned": 4}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Results:
    """A tier of both experiments."""
    root = tmp_path_factory.mktemp("latent")
    shutil.copytree(data_root, root / "data")
    tier = Tier.model_validate(
        {
            "tier": "latent",
            "experiments": [
                {
                    "name": "covariance",
                    "settings": COMMON | {"epochs": 2, "hidden_layers": 1},
                    "axes": {"objective": ["learned", "full"], "latent_dim": [2, 3], "seed": [0]},
                    "latent": PLAN,
                },
                {
                    "name": "latent_match",
                    "settings": COMMON | {"objective": "learned"},
                    "axes": {
                        "hidden_layers": [1, 2], "epochs": [1, 2], "latent_dim": [2, 3],
                        "seed": [0],
                    },
                    "latent": PLAN,
                },
            ],
            "figures": NAMES,
        }
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setitem(grid.POINTS, 2, 100)
        patch.setitem(grid.MOST_POINTS, 2, 400)
        train_tier(tier, root)
        layout = Layout(root / "results" / "latent")
        collect(tier, layout)
        loaded = load_results(layout.root)
        for name in NAMES:
            draw_figure(loaded, name)
    assert "latent:" in dump_tier(tier, root)
    return loaded


def shown_by(results: Results, name: str) -> Selection:
    (found,) = runs_to_show(name, results.tier.experiments)
    return results.selection(found)


def test_every_figure_is_drawn_of_the_runs_that_are_measured(results: Results) -> None:
    for name in NAMES:
        assert results.layout.figure(name, "png").exists()
        assert FIGURES[name].needs[0].named == shown_by(results, name).experiment


def test_panels_show_the_collected_numbers(results: Results) -> None:
    shown = shown_by(results, "fig_match")
    drawing = fig_match.draw(results, shown)
    bars: Any = drawing.figure.axes[0].containers[0]
    line = bars.lines[0]
    own = shown.runs[(shown.runs["hidden_layers"] == 1) & (shown.runs["epochs"] == 1)]
    assert list(line.get_ydata()) == own.sort_values("latent_dim")["latent_kl"].tolist()
    shown = shown_by(results, "fig_covariance")
    drawing = fig_covariance.draw(results, shown)
    bound = shown.runs.set_index(["objective", "latent_dim"])["test_elbo"]
    lead = [bound["full", n] - bound["learned", n] for n in (2, 3)]
    bars = drawing.figure.axes[0].containers[0]
    drawn = bars.lines[0].get_ydata()
    assert list(drawn) == pytest.approx(lead)


def test_the_aggregated_posterior_has_a_panel_for_each_depth_and_length(results: Results) -> None:
    drawing = fig_aggregated.draw(results, shown_by(results, "fig_aggregated"))
    assert len(drawing.figure.axes) == 4
    assert len(drawing.shown) == 4
    assert set(drawing.shown["latent_dim"]) == {2}


def test_samples_are_shown_of_one_run_for_each_n(results: Results) -> None:
    drawing: Drawing = fig_latent_samples.draw(results, shown_by(results, "fig_latent_samples"))
    assert len(drawing.figure.axes) == 6
    assert set(drawing.shown["epochs"]) == {2}
    assert set(drawing.shown["hidden_layers"]) == {1}


@pytest.mark.parametrize("module", [fig_covariance, fig_aggregated, fig_match, fig_latent_samples])
def test_runs_that_are_not_measured_are_said_to_be(module: object, results: Results) -> None:
    shown = shown_by(results, f"{getattr(module, '__name__').split('.')[-1]}")  # noqa: B009
    kept = [name for name in shown.runs if not str(name).startswith("latent_k")]
    bare = Selection(shown.experiment, shown.varying, shown.runs[kept], shown.planned)
    drawing = getattr(module, "draw")(results, bare)  # noqa: B009
    assert "not measured" in drawing.caption
    assert drawing.shown.empty
