"""Claims about the evidence, and which claims a tier bears on."""

from typing import Any

import numpy as np
import pytest

from tests.made_results import PAPER, made, values_of
from vaebench.claims.ledger import judge_all
from vaebench.claims.paper import load_paper_values
from vaebench.claims.registry import compute
from vaebench.claims.select import NotMeasured, NotRun, Watched
from vaebench.experiment.tier import load_tier
from vaebench.paths import CONFIGS

ARGUMENTS = {"of": "constant", "minus": "learned", "n": "low"}
TIER = load_tier(CONFIGS / "evidence.yaml")


def measured(evidence: dict[str, list[float]], gap: float = 1.0) -> Watched:
    rows: list[dict[str, Any]] = [
        {"experiment": "evidence", "objective": objective, "seed": seed,
         "test_elbo": value - gap, "evidence_mean": value, "evidence_gap": gap * (seed + 1),
         "evidence_error": 0.1,
         "status": "completed" if np.isfinite(value) or seed == 0 else "diverged"}
        for objective, values in evidence.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return made(rows, tier=TIER)


def test_evidence_is_compared_at_the_same_seed() -> None:
    results = measured({"constant": [-90.0, -95.0], "learned": [-91.0, -93.0]})
    assert values_of("evidence_difference", results, **ARGUMENTS) == [1.0, -2.0]
    assert values_of("evidence_gap_difference", results, **ARGUMENTS) == [0.0, 0.0]
    diverged = measured({"constant": [-90.0, np.nan], "learned": [-91.0, -93.0]})
    assert np.isnan(values_of("evidence_difference", diverged, **ARGUMENTS)).tolist() == [
        False,
        True,
    ]


def test_evidence_that_annealing_did_not_find_is_not_compared() -> None:
    results = measured({"constant": [-90.0, -95.0], "learned": [-91.0, -93.0]})
    results.runs.loc[0, "evidence_error"] = 1.2
    for name in ("evidence_difference", "evidence_gap_difference"):
        assert np.isnan(values_of(name, results, **ARGUMENTS)).tolist() == [True, False]


def test_a_run_that_is_not_measured_yet_is_left_out() -> None:
    part = measured({"constant": [np.nan, -95.0], "learned": [-91.0, -93.0]})
    assert values_of("evidence_difference", part, **ARGUMENTS) == [-2.0]
    with pytest.raises(NotRun, match="is not measured"):
        compute("evidence_difference", measured({"constant": [np.nan], "learned": [-1.0]}),
                dict(ARGUMENTS))  # fmt: skip


def test_a_tier_bears_on_what_it_asks_for() -> None:
    """Training as in the paper bears on all its claims but those about other measurements."""
    paper = load_paper_values(PAPER)
    equations = {claim.id for claim in paper.claims if claim.statistic.startswith("equation")}
    assert len(equations) > 50
    for name in ("paper", "evidence"):
        unrelated = {"experiment": "another", "seed": 0, "objective": "learned", "test_elbo": 0.0}
        results = made([unrelated], tier=load_tier(CONFIGS / f"{name}.yaml"))
        bearing = {line.id for line in judge_all(results, paper) if line.bears}
        assert ("fig06a-blurry" in bearing) == (name in ("paper", "evidence"))
        assert bool(bearing & equations) == (name == "evidence")
    plain = made(
        [{"experiment": "posterior_variance", "objective": o, "seed": 0, "test_elbo": 0.0}
         for o in ("constant", "learned")],
        tier=load_tier(CONFIGS / "paper.yaml"),
    )  # fmt: skip
    with pytest.raises(NotMeasured, match="does not measure the evidence"):
        compute("evidence_difference", plain, dict(ARGUMENTS))
