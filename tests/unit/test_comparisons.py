"""What a tier says of values that are compared: sentences, figures and claims, by any name."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from tests.made_results import PAPER, made
from tests.registries import registries_apart
from vaebench.claims.ledger import judge_all, parts_of
from vaebench.claims.ledger_text import to_markdown
from vaebench.claims.paper import load_paper_values
from vaebench.claims.select import Watched
from vaebench.experiment.comparison import Comparison
from vaebench.experiment.plugins import load_plugins
from vaebench.experiment.tier import Tier
from vaebench.figures import fig04, fig05
from vaebench.figures.draw import shown_by
from vaebench.figures.style import Drawing
from vaebench.reporting.answers import answers_of
from vaebench.results.compare import paired_difference

OWN_CLAIM: dict[str, Any] = {
    "id": "mine", "says": "constant is better, n = {n}", "statistic": "bound_difference",
    "arguments": {"of": "constant", "minus": "learned", "n": "low"}, "unit": "nats", "above": 0.0,
}  # fmt: skip


def compared(
    bounds: dict[str, list[float]],
    axis: str = "objective",
    claims: list[dict[str, Any]] | None = None,
    **settings: Any,
) -> Watched:
    """An experiment called `mine`, with a test bound for each value and seed; NaN if diverged."""
    seeds = list(range(max(len(values) for values in bounds.values())))
    shared: dict[str, Any] = {
        "dataset": "digits", "likelihood": "bernoulli", "objective": "learned", "latent_dim": 2,
        "epochs": 2, "batch_size": 50, "learning_rate": 0.001, "network": "mlp",
        "hidden_units": 8, "hidden_layers": 1,
        "precision": "float32", "schedule": "constant", "latent_scale": 1.0,
    }  # fmt: skip
    del shared[axis]
    values = [int(value) if value.isdigit() else value for value in bounds]
    tier = Tier.model_validate(
        {
            "tier": "small",
            "experiments": [
                {"name": "mine", "settings": shared, "axes": {axis: values, "seed": seeds}}
                | settings
            ],
            "figures": [],
            "claims": claims or [],
        }
    )
    rows, history, arrays = [], [], {}
    for value, of_seeds in zip(values, bounds.values(), strict=True):
        for seed, bound in enumerate(of_seeds):
            key = {"experiment": "mine", "folder": f"{value} {seed}"}
            status = {"status": "diverged", "diverged_step": 3} if math.isnan(bound) else {}
            rows.append(shared | key | status | {axis: value, "seed": seed, "posterior_std": None,
                                                 "test_elbo": bound,
                                                 "test_elbo_data_units": bound})  # fmt: skip
            history += [key | {"epoch": k, "step": k, "test_elbo": bound - 1 / k} for k in (1, 2)]
            arrays[str(key["folder"])] = {
                "samples": np.zeros((32, 8, 8), np.uint8), "labels": np.arange(10, dtype=np.uint8),
                "posterior_mean": np.random.default_rng(seed).standard_normal((10, 2)),
            }  # fmt: skip
    return made(rows, history, arrays, tier, as_planned=True)


def sentences(results: Watched) -> list[str]:
    (part,) = answers_of(results)
    return [f"{a.value} {a.relation} {a.baseline} {a.rest}" for a in part.answers]


@pytest.mark.parametrize(
    ("ours", "sentence"),
    [
        ([2.0, 2.1, 2.2], "is 2.1 nats above learned [1.9, 2.3] at n = 2, 3 paired seeds"),
        ([-2.0, -2.1, -2.2], "is 2.1 nats below learned [−2.3, −1.9] at n = 2, 3 paired seeds"),
        ([0.3, 0.1, -0.1],
         "against learned is undecided: 0.10 nats above [−0.40, 0.60] at n = 2, 3 paired seeds; "
         "equivalent within 1 nat"),
        ([1.5], "is 1.5 nats above learned at n = 2, one seed: no interval"),
        ([1.5, math.nan], "against learned is not known at n = 2: a run diverged"),
    ],
)  # fmt: skip
def test_an_answer_is_a_sentence(ours: list[float], sentence: str) -> None:
    levels = [-100.0 - 7 * seed for seed in range(len(ours))]
    bounds = [level + value for level, value in zip(levels, ours, strict=True)]
    results = compared({"learned": levels, "bilbo": bounds})
    assert sentences(results) == [f"bilbo {sentence}"]


def test_answers_compare_with_the_baseline_of_any_axis() -> None:
    bounds = {"8": [-3.0, -3.1], "16": [-2.0, -2.2], "32": [-1.0, -1.3]}
    found = sentences(compared(bounds, "hidden_units", baseline=16))
    assert [text.split(" nats")[0] for text in found] == [
        "hidden_units = 8 is 0.95",
        "hidden_units = 32 is 0.95",
    ]


def test_what_is_not_run_and_what_is_too_much_is_counted() -> None:
    results = compared({"learned": [-1.0, -1.1], "bilbo": [-2.0, -2.1], "constant": []})
    (part,) = answers_of(results)
    assert len(part.answers) == 1
    assert part.summary == "1 comparison cannot be made: not run."
    many = {str(units): [-units, -1.1 * units] for units in range(1, 15)}
    (part,) = answers_of(compared(many, "hidden_units"))
    assert part.answers == []
    assert "13 comparisons with hidden_units = 1" in part.summary
    assert "0 above, 13 below, 0 undecided" in part.summary


def test_bounds_of_several_likelihoods_are_no_answer() -> None:
    bounds = {"bernoulli": [-1.0, -1.1], "gaussian": [-2.0, -2.1]}
    (part,) = answers_of(compared(bounds, "likelihood"))
    assert part.answers == []
    assert part.summary == "Not compared: with another likelihood, the bound is another quantity."


def draw(module: Any, name: str, results: Watched) -> Drawing:
    drawing: Drawing = module.draw(results, *shown_by(results, name))
    plt.close(drawing.figure)
    return drawing


@pytest.mark.parametrize(
    ("objectives", "title", "caption"),
    [
        (["bilbo"], "BILBO: bound", "A method for determining the posterior variance: BILBO"),
        (["learned", "bilbo"], "Two methods: bound", "Two methods for .* and BILBO .Eq. 24."),
        (
            ["learned", "constant", "bilbo"],
            "Three methods: bound",
            "Three methods .* one objective",
        ),
    ],
)
def test_figures_say_how_many_methods_they_show(
    objectives: list[str], title: str, caption: str
) -> None:
    results = compared({name: [-1.0, -2.0] for name in objectives})
    drawing = draw(fig04, "fig04", results)
    assert drawing.title.startswith(title)
    assert re.match(caption, drawing.caption)
    panels = [ax.get_title() for ax in draw(fig05, "fig05", results).figure.axes]
    assert len([panel for panel in panels if panel]) == len(objectives)


def test_few_seeds_are_lines_and_four_have_a_band() -> None:
    for seeds in (1, 3, 4):
        results = compared(
            {name: [-1.0 - k for k in range(seeds)] for name in ("learned", "bilbo")}
        )
        drawing = draw(fig04, "fig04", results)
        ax = drawing.figure.axes[0]
        assert len(ax.collections) == (2 if seeds == 4 else 0)
        assert len(ax.lines) == 2 * (1 + (seeds if seeds == 3 else 0))
        assert ("95% interval" in drawing.caption) == (seeds == 4)
        assert len(ax.get_legend_handles_labels()[1]) == 2


def test_a_setting_that_no_figure_knows_is_shown_by_its_name() -> None:
    results = compared({"8": [-3.0], "16": [-2.0]}, "hidden_units")
    drawing = draw(fig04, "fig04", results)
    assert drawing.figure.axes[0].get_legend_handles_labels()[1] == [
        "hidden_units = 8",
        "hidden_units = 16",
    ]


BOUND_DIFFERENCES = ("bound_difference", "faces_bound_difference")


def test_claims_bear_on_an_experiment_of_any_name() -> None:
    bounds = {"learned": [-3.0, -5.0, -7.0], "constant": [-2.0, -4.1, -5.9], "bilbo": []}
    results = compared(bounds, claims=[OWN_CLAIM])
    paper = load_paper_values(PAPER)
    of_bounds = [c for c in paper.claims if c.statistic in BOUND_DIFFERENCES]
    ledger = judge_all(results, paper.model_copy(update={"claims": of_bounds}))
    of_paper, own, others = parts_of(ledger)
    assert len(of_paper) + len(own) + others == len(ledger)
    verdicts = {line.id: line.verdict.value for line in of_paper}
    assert verdicts["fig04a-constant"] == "reproduced"
    assert verdicts["fig04a-bilbo"] == "not run"  # planned, so it is shown
    assert "fig04b-constant" not in verdicts  # no n but 2 is planned
    assert "celeba-bound-unit" not in verdicts
    (mine,) = own
    assert (mine.verdict.value, mine.says) == ("reproduced", "constant is better, n = 2")
    text = to_markdown(results.tier.tier, ledger)
    assert text.index("constant is better, n = 2") < text.index("Of the paper")
    assert f"The paper's {others} other claims" in text
    assert "†" not in text.split("## Of the paper")[0]


def test_a_scale_of_the_data_by_any_name_is_compared_in_units_of_the_data(tmp_path: Path) -> None:
    file = tmp_path / "flat.py"
    file.write_text(
        "from vaebench import likelihood\n@likelihood(data_scale='size')\n"
        "def flat(x, decoded):\n    return -(x - decoded.output).square().sum(-1)\n"
    )
    assert Comparison("size", 1.0).bound == "test_elbo"
    with registries_apart():
        load_plugins([file])
        assert Comparison("size", 1.0).bound == "test_elbo_data_units"
        for size, are_compared in ((1.0, True), (3.0, False)):
            runs = pd.DataFrame(
                {"objective": ["learned", "bilbo"] * 2, "size": [1.0, size] * 2}
                | {"seed": [0, 0, 1, 1], "test_elbo": [1.0, 2.0, 3.0, 4.0]}
            )
            found = paired_difference(
                runs, Comparison("objective", "learned"), {"objective": "bilbo"}
            )
            assert (found is not None) == are_compared
    assert Comparison("data_scale", 1.0).bound == "test_elbo_data_units"
    assert Comparison("tau", 1.0).bound == "test_elbo"
