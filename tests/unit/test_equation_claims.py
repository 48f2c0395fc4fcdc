"""The equations of made-up runs in claims, in the table and in figures."""

import json
import math
from importlib import import_module
from typing import Any

import pandas as pd
import pytest

from tests.conftest import PROJECT
from tests.made_results import PAPER, made
from vaebench.claims.equations import equation, equation_violations
from vaebench.claims.ledger import judge_claim
from vaebench.claims.paper import Claim, load_paper_values
from vaebench.claims.select import NotRun
from vaebench.errors import UserError
from vaebench.experiment.equations import EQUATION_STATISTICS
from vaebench.experiment.figures import FIGURES
from vaebench.experiment.tier import Tier, load_tier
from vaebench.reporting.equations import equations_table, margins, to_markdown
from vaebench.results import equations as collected
from vaebench.results.read import Selection


def tier() -> Tier:
    text = json.dumps(
        {
            "tier": "x",
            "figures": [],
            "experiments": [
                {
                    "name": "posterior_variance",
                    "equations": True,
                    "settings": {
                        **{"dataset": "digits", "likelihood": "bernoulli", "epochs": 1},
                        **{"batch_size": 100, "learning_rate": 0.001, "network": "mlp"},
                        **{"hidden_units": 8, "hidden_layers": 1},
                    },
                    "axes": {
                        "objective": ["learned", "bilbo"],
                        "latent_dim": [2, 5],
                        "seed": [0, 1, 2],
                    },
                }
            ],
        }
    )
    return Tier.model_validate(json.loads(text))


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Any:
    rows, values = [], []
    for objective in ("learned", "bilbo"):
        for seed in (0, 1, 2):
            folder = f"{objective}/{seed}"
            status = "diverged" if (objective, seed) == ("bilbo", 2) else "completed"
            rows.append(
                {
                    **{"experiment": "posterior_variance", "folder": folder, "seed": seed},
                    **{"objective": objective, "status": status, "metrics_digest": folder},
                }
            )
            if status == "completed":
                for state_name, value in (("trained", 0.1 * seed), ("initial", -0.5 - seed)):
                    key = {"experiment": "posterior_variance", "folder": folder}
                    named = {"state": state_name, "statistic": "eq12_exact", "value": value}
                    values.append(key | named | {"arrays_digest": "", "refused": None})
    table = pd.DataFrame(values)
    for module in ("vaebench.claims.equations", "vaebench.reporting.equations"):
        monkeypatch.setattr(f"{module}.equation_values", lambda _: table)
    monkeypatch.setattr(collected, "equation_values", lambda _: table)
    return made(rows, tier=tier())


@pytest.mark.parametrize(
    "name", ["fig_gap", "fig_stationarity", "fig_penalty", "fig_decoder", "fig_posterior",
             "fig_evidence"],
)  # fmt: skip
def test_a_figure_without_measurements_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"experiment": "posterior_variance", "folder": "x", "objective": "bilbo", "seed": 0}]
    results = made(rows, tier=tier())
    empty = pd.DataFrame(columns=list(collected.COLUMNS))
    monkeypatch.setattr(collected, "equation_values", lambda _: empty)
    shown = Selection("posterior_variance", (), results.runs, results.runs)
    needed = [shown] * len(FIGURES[name].needs)
    drawn = import_module(f"vaebench.figures.{name}").draw(results, *needed)
    assert "equations: true" in drawn.caption
    assert drawn.shown.empty


def test_what_untrained_networks_meet_too_is_said_in_the_ledger(results: Any) -> None:
    claim = Claim.model_validate(
        {
            **{"id": "x", "place": "here", "says": "it is small", "paper": "", "unit": "ratio"},
            **{"statistic": "equation", "below": 1.0},
            "arguments": {"name": "eq12_exact", "n": "low", "objective": "learned"},
        }
    )
    both = judge_claim(results, claim)
    assert both.verdict == "reproduced"
    assert both.reason.endswith("untrained networks meet it too, so it proves nothing of training")
    only = judge_claim(results, claim.model_copy(update={"below": None, "above": -0.4}))
    assert only.verdict == "reproduced"
    assert "untrained" not in only.reason


def test_gaussian_runs_have_a_part_for_each_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    gaussian = load_tier(PROJECT / "config" / "evidence.yaml")
    rows, values = [], []
    for objective in ("bilbo", "learned"):
        for seed in (0, 1):
            key = {"experiment": "gaussian_scale", "folder": f"{objective}/{seed}"}
            rows.append(
                key
                | {"objective": objective, "seed": seed, "likelihood": "gaussian"}
                | {"data_scale": 1.0}
            )
            named = {"state": "trained", "statistic": "eq12_exact", "value": float(seed)}
            values.append(key | named)
    table = pd.DataFrame(values, columns=list(collected.COLUMNS))
    monkeypatch.setattr("vaebench.claims.equations.equation_values", lambda _: table)
    both = equation(made(rows, tier=gaussian), "eq12_exact", "low", runs="gaussian")
    assert {part: list(numbers) for part, numbers in both.items()} == {
        "learned": [0.0, 1.0],
        "bilbo": [0.0, 1.0],
    }
    one = equation(made(rows[:2], tier=gaussian), "eq12_exact", "low", runs="gaussian")
    assert list(one) == [""]


def test_a_statistic_has_a_number_for_each_seed_and_part(results: Any) -> None:
    parts = equation(results, "eq12_exact", "low")
    assert list(parts) == ["learned", "bilbo"]
    assert list(parts["learned"]) == pytest.approx([0, 0.1, 0.2])
    assert list(parts["bilbo"])[:2] == pytest.approx([0, 0.1])
    assert math.isnan(parts["bilbo"][2])
    one = equation(results, "eq12_exact", "low", objective="learned", state="initial")
    assert list(one[""]) == [-0.5, -1.5, -2.5]
    violations = equation_violations(results, "eq12_exact", "low", 0.15)
    assert list(violations["learned"]) == [0, 0, 1]
    assert math.isnan(violations["bilbo"][2])


def test_an_identity_that_is_infinitely_off_is_violated(
    results: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = collected.equation_values(results)
    broken = (table["folder"].str.contains("learned")) & (table["statistic"] == "eq12_exact")
    table = table.assign(value=table["value"].where(~broken))
    monkeypatch.setattr("vaebench.claims.equations.equation_values", lambda _: table)
    violations = equation_violations(results, "eq12_exact", "low", 0.15)
    assert list(violations["learned"]) == [1, 1, 1]
    assert math.isnan(violations["bilbo"][2])


def test_what_is_not_measured_or_unknown_is_no_number(results: Any) -> None:
    with pytest.raises(NotRun, match="has no eq9_gradient of trained networks"):
        equation(results, "eq9_gradient", "low")
    with pytest.raises(UserError, match="'eq99' is not one of"):
        equation(results, "eq99", "low")


def test_claims_name_known_statistics_and_states() -> None:
    claims = [c for c in load_paper_values(PAPER).claims if c.statistic.startswith("equation")]
    assert len(claims) > 50
    for claim in claims:
        assert claim.arguments["name"] in EQUATION_STATISTICS, claim.id
        assert claim.arguments.get("state", "trained") in ("trained", "refined", "initial")
    # Both latent dimensions, and the table's margins, are those of one criterion.
    for name, first in margins(claims).items():
        same = [c for c in claims if c.arguments["name"] == name and c.statistic == "equation"]
        if same:  # others are identities
            assert {c.expects for c in same} == {first.expects}, name


def test_the_table_says_what_holds_and_what_held_before_training(results: Any) -> None:
    table = equations_table(results, load_paper_values(PAPER).claims)
    by = table.set_index("runs")
    (learned,) = [key for key in by.index if "learned" in key]
    row = by.loc[learned]
    assert row["trained_mean"] == pytest.approx(0.1)
    assert row["trained_seeds"] == 3
    assert row["holds_trained"] == "undecided"
    assert row["margin"] == "within ±0.1"
    assert row["initial_mean"] == pytest.approx(-1.5)
    text = to_markdown(table)
    assert "10, 12" in text
    assert "0.1 (-0.148 to 0.348): undecided" in text
