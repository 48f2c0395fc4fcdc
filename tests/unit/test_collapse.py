"""Runs of the main comparison, split by the latent dimensions that they use."""

from dataclasses import replace

import pandas as pd
import pytest

from tests.conftest import PROJECT
from vaebench.paths import PUBLISHED
from vaebench.reporting.collapse import collapse_of
from vaebench.results.read import Results, load_results


@pytest.fixture(scope="module")
def results() -> Results:
    return load_results(PROJECT / PUBLISHED)


def of_collapse(results: Results, units: list[int], bounds: list[float]) -> Results:
    """The same results, whose main comparison has these runs with learned variances at n = 100.

    BILBO uses 12 dimensions, and its bound is that of the same seed and 1.
    """
    own = results.of("posterior_variance", latent_dim=100, seed=0)
    rows = []
    for seed, (count, bound) in enumerate(zip(units, bounds, strict=True)):
        for objective, values in (("learned", (count, bound)), ("bilbo", (12, bound + 1))):
            row = own[own["objective"] == objective].assign(seed=seed)
            rows.append(row.assign(test_active_units=values[0], test_elbo=values[1]))
    return replace(results, runs=pd.concat(rows, ignore_index=True))


def test_runs_are_split_by_the_dimensions_that_they_use(results: Results) -> None:
    found = collapse_of(
        of_collapse(results, [10, 8, 10, 9, 11], [-99.0, -102.0, -98.0, -101.0, -97.0]),
        "posterior_variance",
        100,
    )
    assert found is not None
    assert sorted(found.few["test_elbo"]) == [-102.0, -101.0]
    assert sorted(found.others["test_active_units"]) == [10, 10, 11]
    assert (found.lead.count, found.lead.mean) == (3, 1.0)


@pytest.mark.parametrize("units", [[10, 10, 11], [9, 10, 9], [10], []])
def test_there_is_no_split_without_two_seeds_on_one_side_and_one_on_the_other(
    results: Results, units: list[int]
) -> None:
    bounds = [-99.0 - k for k in range(len(units))]
    changed = (
        of_collapse(results, units, bounds)
        if units
        else replace(results, runs=results.runs.iloc[:0])
    )
    assert collapse_of(changed, "posterior_variance", 100) is None
