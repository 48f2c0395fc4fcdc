"""Statistics of samples under several objectives, on measures whose answer is known."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.made_results import made, values_of, verdict_of
from vaebench.claims.select import Watched

MEASURES = {"fid": "fid_difference", "density": "density_difference",
            "coverage": "coverage_difference"}  # fmt: skip
LEVELS = {"fid": 40.0, "density": 0.4, "coverage": 0.5}


def measured(factors: Sequence[float], measure: str, level: float, n: int = 2) -> Watched:
    """`learned` at a level, and the two constant forms at this factor of it for each seed."""
    rows = [
        {"experiment": "posterior_variance", "objective": objective, "seed": seed,
         "latent_dim": n, "sample_kid": 1.0, "floor_kid": 1e-3, "sample_images": 10_000,
         f"sample_{measure}": level * (1.0 if objective == "learned" else factor)}
        for objective in ("learned", "constant", "bilbo")
        for seed, factor in enumerate(factors)
    ]  # fmt: skip
    return made(rows)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(("n", "suffix"), [(2, "-low"), (20, "")])
def test_samples_are_alike_within_a_factor(measure: str, n: int, suffix: str) -> None:
    for factors, verdict in (([1.05, 0.98, 1.02], "reproduced"), ([0.4, 0.42, 0.41], "differs"),
                             ([1.0, 0.5, 1.4], "inconclusive")):  # fmt: skip
        results = measured(factors, measure, LEVELS[measure], n)
        for form in ("constant", "bilbo"):
            assert verdict_of(f"fig04c-{form}-{measure}{suffix}", results) == verdict


def test_differences_are_logs_of_ratios_and_of_odds() -> None:
    arguments = {"of": "bilbo", "minus": "learned", "n": "low"}
    for measure in ("fid", "density"):
        results = measured([2.0, 0.5], measure, LEVELS[measure])
        found = values_of(MEASURES[measure], results, **arguments)
        assert found == pytest.approx([np.log(2), -np.log(2)], abs=1e-3)
    found = values_of("coverage_difference", measured([1.2, 1.0], "coverage", 0.5), **arguments)
    assert found == pytest.approx([np.log(0.6 / 0.4), 0.0], abs=1e-3)


@pytest.mark.parametrize("measure", ["density", "coverage"])
def test_samples_outside_of_every_neighbourhood_have_a_finite_number(measure: str) -> None:
    arguments = {"of": "bilbo", "minus": "learned", "n": "low"}
    (found,) = values_of(MEASURES[measure], measured([0.0], measure, 0.3), **arguments)
    assert -12 < found < -6
    (unknown,) = values_of(MEASURES[measure], measured([np.nan], measure, 0.3), **arguments)
    assert np.isnan(unknown)
