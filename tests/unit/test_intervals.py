"""Means over seeds with their intervals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vaebench.results.intervals import estimate, student_quantile


def test_estimates() -> None:
    sample = [1.0, 2.0, 4.0]
    found = estimate(sample)
    low, high = stats.t.interval(0.95, 2, np.mean(sample), stats.sem(sample))
    assert found.count == 3
    assert found.mean == pytest.approx(7 / 3)
    assert found.std == pytest.approx(1.527525)
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    single = estimate([2.0])
    assert single.mean == 2.0
    assert math.isnan(single.low)
    assert math.isnan(estimate([1.0, math.nan, 2.0]).mean)
    assert estimate([]).count == 0
    same = estimate([1.0] * 12)
    assert (same.low, same.high) == (1.0, 1.0)


@given(st.floats(0.501, 0.9999), st.integers(1, 1000))
def test_quantiles_are_those_of_scipy_to_the_bit(share: float, freedom: int) -> None:
    assert student_quantile(share, freedom) == stats.t.ppf(share, freedom)
