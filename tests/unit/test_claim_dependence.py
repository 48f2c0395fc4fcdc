"""Claims about what depends on the input."""

from typing import Any

import numpy as np
import pytest

from tests.made_results import made
from vaebench.claims.registry import compute
from vaebench.claims.select import NotMeasured, NotRun, Watched
from vaebench.errors import UserError
from vaebench.experiment.tier import load_tier
from vaebench.paths import CONFIGS

TIER = load_tier(CONFIGS / "questions.yaml")


def measured(values: dict[str, list[float]]) -> Watched:
    rows: list[dict[str, Any]] = [
        {"experiment": "one-quadrant", "objective": objective, "seed": seed, "latent_dim": 50,
         "observed": "1-quadrant", "dependence_log_p_is": value,
         "status": "completed" if np.isfinite(value) or seed == 0 else "diverged"}
        for objective, own in values.items()
        for seed, value in enumerate(own)
    ]  # fmt: skip
    results = made(rows, tier=TIER)
    object.__setattr__(results, "only", "one-quadrant")
    return results


def values(statistic: str, results: Watched, **arguments: object) -> list[float]:
    """The numbers of a statistic, which has an argument `name` of its own."""
    (numbers,) = compute(statistic, results, arguments).values()
    return list(numbers)


def test_a_statistic_of_one_objective_and_the_difference_of_two() -> None:
    results = measured({"plain": [-100.0, -99.0], "conditional": [-66.0, -64.0]})
    given: dict[str, object] = {"name": "log_p_is", "objective": "plain"}
    assert values("dependence", results, **given) == [-100.0, -99.0]
    assert values("dependence", results, **given, minus=-100.4) == pytest.approx([0.4, 1.4])
    given = {"name": "log_p_is", "of": "conditional", "minus": "plain"}
    assert values("dependence_difference", results, **given) == [34.0, 35.0]


def test_diverged_runs_are_nan_and_others_are_left_out() -> None:
    given: dict[str, object] = {"name": "log_p_is", "objective": "plain"}
    diverged = values("dependence", measured({"plain": [-100.0, np.nan]}), **given)
    assert np.isnan(diverged).tolist() == [False, True]
    assert values("dependence", measured({"plain": [np.nan, -99.0]}), **given) == [-99.0]
    with pytest.raises(NotRun, match="log_p_is of 'one-quadrant' is not measured"):
        compute("dependence", measured({"plain": [np.nan]}), dict(given))
    with pytest.raises(NotRun, match="prior_share of 'one-quadrant' is not measured"):
        compute("dependence", measured({"plain": [-1.0]}), given | {"name": "prior_share"})


def test_what_is_not_measured_or_not_known() -> None:
    given: dict[str, object] = {"name": "log_p_is", "objective": "learned"}
    row = {"experiment": "posterior_variance", "objective": "learned", "seed": 0}
    with pytest.raises(NotMeasured, match="does not measure what depends"):
        compute("dependence", made([row], tier=load_tier(CONFIGS / "paper.yaml")), dict(given))
    with pytest.raises(UserError, match="'mean_shore' is no statistic"):
        compute("dependence", made([row], tier=TIER), given | {"name": "mean_shore"})
