"""Statistics of columns on made-up results, and the page of questions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import PROJECT
from tests.made_results import made, values_of
from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import judge_claim
from vaebench.claims.paper import OwnClaim, own_claims
from vaebench.claims.registry import compute
from vaebench.claims.select import NotMeasured, NotRun, Watched
from vaebench.experiment.tier import Tier, load_tier
from vaebench.paths import PUBLISHED, Layout
from vaebench.reporting.questions import write_questions

TIER = load_tier(PROJECT / "config" / "questions.yaml")
REDUCED = load_tier(PROJECT / "config" / "questions-reduced.yaml")
CLAIMS = {claim.id: claim for claim in own_claims(TIER)}


def results(experiment: str, rows: list[dict[str, Any]]) -> Watched:
    common = {"experiment": experiment, "hidden_layers": 2, "epochs": 200, "objective": "learned"}
    found = made([common | row for row in rows], tier=TIER)
    object.__setattr__(found, "only", experiment)
    return found


def by_layers(two: list[float], three: list[float]) -> Watched:
    return results(
        "latent_match",
        [
            {"hidden_layers": layers, "seed": seed, "latent_kl": value, "latent_dim": 2}
            for layers, values in ((2, two), (3, three))
            for seed, value in enumerate(values)
        ],
    )


AT = {"column": "latent_kl", "latent_dim": 2, "epochs": 200}


def test_a_difference_along_an_axis_is_paired_by_seed() -> None:
    found = by_layers([0.5, 0.6, 0.7], [0.4, 0.3, 0.6])
    difference = values_of("column_difference", found, axis="hidden_layers", of=3, minus=2, **AT)
    assert difference == pytest.approx([-0.1, -0.3, -0.1])
    assert values_of("column_value", found, hidden_layers=2, **AT) == [0.5, 0.6, 0.7]
    with pytest.raises(NotRun, match="differ in more than their seed"):
        compute("column_value", found, dict(AT))


def test_a_difference_of_two_columns_is_of_the_same_run() -> None:
    rows = [
        {"seed": s, "latent_log_kid": float(s), "latent_log_kid_aggregated": 1.0} for s in (0, 1, 2)
    ]
    found = results("latent_match", rows)
    names = {"of": "latent_log_kid", "minus": "latent_log_kid_aggregated"}
    assert values_of("columns_difference", found, latent_dim=2, **names) == [-1.0, 0.0, 1.0]


def test_what_is_not_there_decides_nothing() -> None:
    found = by_layers([0.5, np.nan], [0.4, 0.3])
    difference = values_of("column_difference", found, axis="hidden_layers", of=3, minus=2, **AT)
    assert difference == pytest.approx([-0.1])
    with pytest.raises(NotRun, match="latent_mmd of 'latent_match' is not measured"):
        compute("column_value", found, AT | {"hidden_layers": 2, "column": "latent_mmd"})
    with pytest.raises(NotMeasured, match="does not measure evidence_gap"):
        compute("column_value", found, AT | {"hidden_layers": 2, "column": "evidence_gap"})
    with pytest.raises(NotRun):
        compute("column_value", found, AT | {"hidden_layers": 2, "latent_dim": 10})


@pytest.mark.parametrize(
    ("three", "verdict"),
    [
        ([0.30, 0.31, 0.29, 0.30, 0.32], Verdict.REPRODUCED),
        ([0.90, 0.91, 0.89, 0.90, 0.92], Verdict.DIFFERS),
        ([0.10, 0.90, 0.20, 0.95, 0.52], Verdict.INCONCLUSIVE),
    ],
)
def test_a_third_layer_that_helps_or_not(three: list[float], verdict: Verdict) -> None:
    found = by_layers([0.5, 0.51, 0.52, 0.5, 0.49], three)
    assert judge_claim(found, CLAIMS["depth-2"]).verdict == verdict


@pytest.mark.parametrize("tier", [TIER, REDUCED], ids=["whole", "reduced"])
def test_every_claim_finds_its_runs_and_columns(tier: Tier) -> None:
    """On a tier as it is planned, with a made-up number in every column: no claim is not run."""
    from vaebench.experiment.dependence import DEPENDENCE_STATISTICS
    from vaebench.experiment.grid import expand
    from vaebench.results.latent import LATENT_COLUMNS

    columns = [f"latent_{name}" for name in LATENT_COLUMNS]
    columns += [f"dependence_{name}" for name in DEPENDENCE_STATISTICS]
    columns += ["test_elbo", "evidence_gap", "evidence_mean"]
    random = np.random.default_rng(0)
    rows = [
        run.settings.model_dump()
        | {"experiment": experiment.name, "folder": run.folder.as_posix()}
        | {name: float(random.normal()) for name in columns}
        | {"evidence_error": 0.1}
        for experiment in tier.experiments
        for cell in expand(experiment)
        for run in cell.runs
    ]
    found = made(rows, tier=tier)
    for claim in CLAIMS.values():
        line = judge_claim(Watched.of_results(found, claim.experiment), claim)
        assert line.verdict != Verdict.NOT_RUN, (claim.id, line.reason)
        assert line.value is not None


def test_every_n_and_both_answers_are_claimed_about() -> None:
    for prefix in ("full-bound", "full-gap", "full-evidence", "axes-diagonal", "diagonal-loss"):
        assert {f"{prefix}-{n}" for n in (2, 10, 100)} <= set(CLAIMS)
    assert all(claim.experiment for claim in CLAIMS.values())
    dims = {n for claim in CLAIMS.values() if (n := claim.arguments.get("latent_dim"))}
    assert dims == {2, 10, 20, 100}


def _line(claim: OwnClaim, value: float, verdict: Verdict) -> dict[str, Any]:
    judged = judge_claim(results("covariance", [{"seed": 0}]), claim)
    line: dict[str, Any] = json.loads(judged.model_dump_json())
    changed = {"value": value, "low": value - 0.1, "high": value + 0.1, "verdict": verdict.value}
    return line | changed | {"source": "own"}


def test_the_page_says_what_the_ledger_says(tmp_path: Path) -> None:
    layout, page = Layout(tmp_path / "questions"), tmp_path / "questions.md"
    assert write_questions(TIER, layout, page, check=True) == [page]
    assert not page.exists()
    assert write_questions(TIER, layout, page) == [page]
    assert write_questions(TIER, layout, page) == []
    empty = page.read_text()
    assert empty.count("Not run yet.") == 3
    assert "| 100 | 200 | 5150 | 994950 | 12.00 | not run yet |" in empty
    values = {"full-bound-2": 3.0, "full-bound-10": 0.2, "depth-2": -0.3, "training-2": -0.4}
    lines = [
        _line(claim, values.get(claim.id, 0.0), Verdict.DIFFERS)
        if values.get(claim.id, 0.0) == 0.2
        else _line(claim, values.get(claim.id, 0.0), Verdict.REPRODUCED)
        for claim in CLAIMS.values()
    ]
    layout.claims("json").parent.mkdir(parents=True)
    layout.claims("json").write_text(json.dumps({"claims": lines}))
    write_questions(TIER, layout, page)
    text = page.read_text()
    assert "3.00 [2.90, 3.10] nats at n = 2, " in text
    assert "It gains more than 1 nat at n = 2, 100." in text
    assert "It does not gain 1 nat at n = 10." in text
    assert "A third hidden layer changes the KL divergence by −0.30 [−0.40, −0.20] nats" in text
    assert "holds in 3 and fails in 0 of 3 tests, 0 undecided" in text
    assert "**no** 0.20 [0.10, 0.30]" in text
    assert "not run yet" not in text.split("| statement |")[1]
    assert "variance of codes that is in the means μ(x) is 0.00 [−0.10, 0.10] at n = 2" in text
    assert "changes log p(y|x) by 0.00 [−0.10, 0.10] nats where one quadrant is observed" in text
    assert (
        "“p(z|x) = p(z) is a fair relaxation”, as it costs no more than 1 nat, holds in 3" in text
    )


def test_a_reduced_tier_has_the_same_claims_and_its_page_says_so(tmp_path: Path) -> None:
    assert REDUCED.own_claims == TIER.own_claims
    assert REDUCED.figures == TIER.figures
    assert [e.name for e in REDUCED.experiments] == [e.name for e in TIER.experiments]
    layout, page = Layout(tmp_path / "questions-reduced"), tmp_path / "questions.md"
    write_questions(REDUCED, layout, page)
    text = page.read_text()
    assert "**These are reduced runs**, of 3 seeds and at most 5 epochs." in text
    assert "(../config/questions-reduced.yaml)" in text
    write_questions(TIER, layout, page)
    assert "reduced" not in page.read_text()


def test_the_longest_training_is_that_of_the_tier() -> None:
    rows = [
        {"epochs": epochs, "hidden_layers": 2, "latent_dim": 10, "objective": "learned",
         "seed": seed, "status": "completed", "latent_mmd": value + seed}
        for epochs, value in ((10, 5.0), (50, 3.0), (200, 1.0)) for seed in range(3)
    ]  # fmt: skip
    found = results("latent_match", rows)
    at = {"column": "latent_mmd", "latent_dim": 10, "hidden_layers": 2}
    assert values_of("column_value", found, epochs="longest", **at) == [1.0, 2.0, 3.0]
    assert values_of("column_value", found, epochs="shortest", **at) == [5.0, 6.0, 7.0]


def test_the_page_in_docs_is_up_to_date() -> None:
    name = next(
        (
            n
            for n in ("questions", "questions-reduced")
            if (PROJECT / PUBLISHED).with_name(n).exists()
        ),
        "questions",
    )
    tier = load_tier(PROJECT / "config" / f"{name}.yaml")
    layout = Layout((PROJECT / PUBLISHED).with_name(name))
    assert write_questions(tier, layout, PROJECT / "docs" / "questions.md", check=True) == []
