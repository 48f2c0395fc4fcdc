"""Rules of verdicts: several parts, equivalence, pairing and power."""

import math

import numpy as np
import pytest
from scipy import stats

from tests.made_results import claim
from vaebench.claims.judge import Verdict, detectable, judge, unpaired
from vaebench.claims.select import Paired
from vaebench.results.intervals import estimate
from vaebench.results.multiplicity import benjamini_hochberg, holm

SPREAD = [-0.2, -0.1, 0.0, 0.1, 0.2]


def around(mean: float) -> list[float]:
    return [mean + value for value in SPREAD]


def test_one_true_part_of_many_is_not_condemned_by_chance() -> None:
    """Alone, a part at -0.25 +- 0.2 differs from `above 0`. Among twenty it may be chance."""
    off = [-0.25 + value for value in SPREAD]
    assert judge(claim(above=0.0), {"": off}).verdict == Verdict.DIFFERS
    parts = {str(k): around(1.0) for k in range(19)} | {"bad": off}
    found = judge(claim(above=0.0), parts)
    assert (found.verdict, found.part) == (Verdict.INCONCLUSIVE, "bad")
    assert "Holm" in found.reason
    far = judge(claim(above=0.0), parts | {"bad": around(-3.0)})
    assert (far.verdict, far.part) == (Verdict.DIFFERS, "bad")


def test_a_claim_of_always_needs_every_part() -> None:
    parts = {str(k): around(1.0) for k in range(20)}
    assert judge(claim(above=0.0), parts).verdict == Verdict.REPRODUCED
    parts["weak"] = around(0.1)
    assert judge(claim(above=0.0), parts).verdict == Verdict.INCONCLUSIVE


def test_a_count_of_a_diverged_run_is_not_known() -> None:
    count = claim(exactly=0)
    assert judge(count, {"": [0, 0], "b": [0]}).verdict == Verdict.REPRODUCED
    found = judge(count, {"": [0, 0], "b": [0, math.nan]})
    assert (found.verdict, found.part) == (Verdict.INCONCLUSIVE, "b")
    assert found.reason == "a run diverged, or its value is not known, so the mean is not known"
    # One that is known and wrong decides.
    found = judge(count, {"": [0, math.nan], "b": [0, 2, math.nan]})
    assert (found.verdict, found.part) == (Verdict.DIFFERS, "b")


def test_an_undecided_sign_can_be_equivalent() -> None:
    near = claim(above=0.0, equivalent_within=1.0)
    found = judge(near, {"": around(0.05)})
    assert (found.verdict, found.equivalent) == (Verdict.INCONCLUSIVE, True)
    assert (
        found.reason == "the sign is undecided: the interval contains 0; equivalent within ±1 nats"
    )
    wide = judge(near, {"": [10 * value for value in around(0.05)]})
    assert (wide.verdict, wide.equivalent) == (Verdict.INCONCLUSIVE, False)
    decided = judge(near, {"": around(0.5)})
    assert (decided.verdict, decided.equivalent) == (Verdict.REPRODUCED, True)


@pytest.mark.parametrize("criterion", [{"above": 0.3}, {"below": 0.3}, {"within": 0.3}])
def test_p_values_are_those_of_students_t(criterion: dict[str, float]) -> None:
    values = [0.1, 0.5, 0.2, 0.9]
    found = judge(claim(**criterion), {"": values})
    if "within" in criterion:
        lower = stats.ttest_1samp(values, -0.3, alternative="greater").pvalue
        upper = stats.ttest_1samp(values, 0.3, alternative="less").pvalue
        for_, against = max(lower, upper), min(1 - lower, 1 - upper)
        assert found.p == pytest.approx(min(1, 2 * min(for_, against)))
    else:
        assert found.p == pytest.approx(stats.ttest_1samp(values, 0.3).pvalue)


def test_a_part_without_a_test_leaves_a_claim_that_another_part_decides_a_p_value() -> None:
    off = [-1.0, -1.1, -0.9, -1.2]
    alone = judge(claim(above=0.0), {"a": off})
    both = judge(claim(above=0.0), {"a": off, "b": [2.0]})
    assert both.verdict == Verdict.DIFFERS
    assert alone.p is not None
    # Holm: two parts.
    assert both.p == pytest.approx(2 * alone.p)
    undecided = judge(claim(above=0.0), {"a": [1.0, 1.1, 0.9, 1.2], "b": [2.0]})
    assert (undecided.verdict, undecided.p) == (Verdict.INCONCLUSIVE, 1.0)
    assert judge(claim(above=0.0), {"a": [1.0], "b": [2.0]}).p is None
    counted = claim(above=0.0, counted=True)
    held = judge(counted, {"a": [1.0, 1.1, 0.9, 1.2], "b": [2.0] * 4})
    assert held.verdict == Verdict.REPRODUCED
    assert held.p == judge(counted, {"a": [1.0, 1.1, 0.9, 1.2]}).p
    wrong = judge(counted, {"a": [1.0, 1.1, 0.9, 1.2], "b": [-2.0] * 4})
    assert (wrong.verdict, wrong.p) == (Verdict.DIFFERS, None)


def test_corrections() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005]
    assert holm(p_values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    expected = stats.false_discovery_control(p_values)
    assert benjamini_hochberg(p_values) == pytest.approx(expected)
    with_none = holm([math.nan, 0.01])
    assert math.isnan(with_none[0])
    assert with_none[1] == pytest.approx(0.02)
    assert holm([]) == benjamini_hochberg([]) == []


def test_what_pairing_brings() -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(size=8)
    of, minus = level + rng.normal(scale=0.1, size=8) + 1, level
    found = unpaired(Paired(tuple(of), tuple(minus)))
    assert found is not None
    assert found.correlation > 0.9
    paired = estimate((of - minus).tolist())
    assert found.high - found.low > 3 * (paired.high - paired.low)
    assert found.low == pytest.approx(
        stats.ttest_ind(of, minus, equal_var=False).confidence_interval(0.95).low
    )
    assert unpaired([1.0, 2.0]) is None
    assert unpaired(Paired((1.0, 1.0), (0.0, 2.0))) is None
    assert unpaired(Paired((1.0, math.nan), (0.0, 2.0))) is None


def test_differences() -> None:
    values = Paired((3.0, 5.0), (1.0, 2.0))
    assert list(values) == [2.0, 3.0]
    assert list(-values) == [-2.0, -3.0]
    assert values[1] == 3.0
    assert len(values) == 2


@pytest.mark.parametrize("count", [5, 10, 20])
def test_what_is_called_detectable_is_detected_in_four_of_five_cases(count: int) -> None:
    """By the noncentral t distribution, for a known deviation."""
    sample = np.arange(count, dtype=float)
    sample = (sample - sample.mean()) / sample.std(ddof=1)
    distance = detectable(estimate(sample.tolist()))
    critical = stats.t.ppf(0.975, count - 1)
    power = stats.nct.sf(critical, count - 1, distance * math.sqrt(count))
    assert power == pytest.approx(0.8, abs=0.03)
    assert math.isnan(detectable(estimate([1.0])))
