"""Judges one claim by the values of its statistic over seeds.

Every rule errs in 5% of all cases or fewer, whichever verdict it gives, if the values of seeds are
independent and normal: `tests/unit/test_false_verdicts.py` measures it. A claim with several parts
is reproduced if each part is, which needs no correction (an intersection-union test: Berger, 1982).
It differs if a part does after the correction of Holm (1979) for the number of parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, isfinite, nan, sqrt

import numpy as np
from scipy.special import stdtr

from vaebench.claims.paper import Claim
from vaebench.claims.select import Paired
from vaebench.results.intervals import CONFIDENCE, Estimate, estimate, student_quantile
from vaebench.results.multiplicity import holm

ONE_SIDED = (1 - CONFIDENCE) / 2
"""The rate of errors of a test in one direction: half of what a 95% interval leaves outside."""
POWER = 0.8
NOT_KNOWN = "a run diverged, or its value is not known, so the mean is not known"
FEWEST_COUNTED = 3
"""Seeds that have to agree on a count for it to be judged without an interval."""


class Verdict(StrEnum):
    """The outcome of the runs for a claim."""

    REPRODUCED = "reproduced"
    COMPATIBLE = "compatible"
    """A printed number lies in what our runs predict for a single run. That others would lie there
    too makes this weaker than `reproduced`."""
    DIFFERS = "differs"
    INCONCLUSIVE = "inconclusive"
    """The interval does not decide between the two."""
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Judgement:
    """A verdict on a claim, by the part that decides it."""

    verdict: Verdict
    reason: str
    part: str
    """The name of the part that decides: of those with the worst verdict, the one farthest off."""
    estimate: Estimate
    """Of that part."""
    p: float | None
    """Two-sided p-value of the whole claim. None if there is no test."""
    equivalent: bool
    """Whether the interval of every part lies within the claim's margin of equivalence."""


@dataclass(frozen=True)
class Unpaired:
    """What the difference of a part is without the pairing by seeds."""

    low: float
    high: float
    """Welch's 95% interval."""
    correlation: float
    """Between the two sides, over seeds. Pairing helps where it is above 0. NaN if a side does not
    vary."""


@dataclass(frozen=True)
class _Part:
    name: str
    estimate: Estimate
    p_for: float
    """One-sided p-value of the part's being false."""
    p_against: float
    """One-sided p-value of its being true."""


def judge(claim: Claim, parts: Mapping[str, Sequence[float]]) -> Judgement:
    """Judge a claim by its parts, each with a value for each seed. There is at least one part."""
    if claim.exactly is not None:
        return _judge_count(claim.exactly, parts)
    tested = [_test(claim, name, estimate(values)) for name, values in parts.items()]
    against = holm([part.p_against for part in tested])
    verdicts = [
        _decide(claim, part, adjusted, len(tested))
        for part, adjusted in zip(tested, against, strict=True)
    ]
    order = (Verdict.DIFFERS, Verdict.INCONCLUSIVE, Verdict.REPRODUCED)
    worst = next(verdict for verdict in order if verdict in {v for v, _ in verdicts})
    k = max(
        (k for k, (verdict, _) in enumerate(verdicts) if verdict == worst),
        key=lambda k: _badness(claim, tested[k].estimate),
    )
    reason = verdicts[k][1]
    margin = claim.equivalent_within
    equivalent = margin is not None and all(
        -margin <= part.estimate.low < part.estimate.high <= margin for part in tested
    )
    if equivalent:
        reason += f"; equivalent within ±{margin:g} {claim.unit}"
    return Judgement(
        verdict=worst,
        reason=f"{tested[k].name}: {reason}" if tested[k].name else reason,
        part=tested[k].name,
        estimate=tested[k].estimate,
        p=_p_value(tested, [verdict for verdict, _ in verdicts], against, k),
        equivalent=equivalent,
    )


def _p_value(
    parts: Sequence[_Part], verdicts: Sequence[Verdict], against: Sequence[float], decides: int
) -> float | None:
    """Two-sided p-value of a claim. None if no test has decided it.

    A part without a test, such as one of a single seed, has the p-value 1. A count that holds at
    all seeds has no error, so its p-value is 0.
    """
    tests = [isfinite(part.p_for) for part in parts]
    if not any(tests) or (not tests[decides] and verdicts[decides] == Verdict.DIFFERS):
        return None
    p_for = [
        part.p_for if is_tested else float(verdict != Verdict.REPRODUCED)
        for part, is_tested, verdict in zip(parts, tests, verdicts, strict=True)
    ]
    return min(1.0, 2 * min(max(p_for), *(p for p in against if isfinite(p))))


def _judge_count(exactly: float, parts: Mapping[str, Sequence[float]]) -> Judgement:
    """Judge a claim about a count, which has no error."""
    for name, values in parts.items():
        if wrong := [value for value in values if isfinite(value) and value != exactly]:
            return Judgement(
                Verdict.DIFFERS, f"a count is {wrong[0]:g}", name, estimate(values), None, False
            )
    for name, values in parts.items():
        if not all(map(isfinite, values)):
            return Judgement(Verdict.INCONCLUSIVE, NOT_KNOWN, name, estimate(values), None, False)
    name, values = next(iter(parts.items()))
    reason = "counted; it has no error"
    return Judgement(Verdict.REPRODUCED, reason, name, estimate(values), None, False)


def _test(claim: Claim, name: str, mean: Estimate) -> _Part:
    """Student's t tests of a part, for and against. NaN if its values do not vary."""
    if not (isfinite(mean.std) and mean.std > 0):
        return _Part(name, mean, nan, nan)
    error, freedom = mean.std / sqrt(mean.count), mean.count - 1

    def above(limit: float) -> float:
        """One-sided p-value of the mean's being below the limit."""
        return float(stdtr(freedom, -(mean.mean - limit) / error))

    def below(limit: float) -> float:
        return float(stdtr(freedom, (mean.mean - limit) / error))

    if claim.within is not None:
        p_for = max(above(-claim.within), below(claim.within))
        return _Part(name, mean, p_for, min(below(-claim.within), above(claim.within)))
    if claim.above is not None:
        return _Part(name, mean, above(claim.above), below(claim.above))
    if claim.below is not None:
        return _Part(name, mean, below(claim.below), above(claim.below))
    raise ValueError(f"claim '{claim.id}' has no criterion")


def _decide(claim: Claim, part: _Part, against: float, parts: int) -> tuple[Verdict, str]:
    """The verdict on a part and its reason, given its p-value against after Holm's correction."""
    mean = part.estimate
    if not isfinite(mean.mean):
        return Verdict.INCONCLUSIVE, NOT_KNOWN
    if mean.count == 1:
        return Verdict.INCONCLUSIVE, "one seed has no interval"
    if not isfinite(part.p_for) and claim.counted and mean.count >= FEWEST_COUNTED:
        return _decide_alike(claim, mean.mean)
    if not isfinite(part.p_for):
        return Verdict.INCONCLUSIVE, "all seeds give the same number, so it has no interval"
    is_same = claim.within is not None
    if part.p_for <= ONE_SIDED:
        where = "inside the margin" if is_same else "on the claimed side"
        return Verdict.REPRODUCED, f"the whole interval lies {where}"
    if part.p_against <= ONE_SIDED:
        where = "outside the margin" if is_same else "on the other side"
        reason = f"the whole interval lies {where}"
        if against <= ONE_SIDED:
            return Verdict.DIFFERS, reason
        return Verdict.INCONCLUSIVE, f"{reason}, which may be chance among {parts} parts (Holm)"
    if is_same:
        return Verdict.INCONCLUSIVE, "the interval reaches over the margin"
    limit = claim.above if claim.above is not None else claim.below
    if limit == 0:
        return Verdict.INCONCLUSIVE, "the sign is undecided: the interval contains 0"
    return Verdict.INCONCLUSIVE, f"the interval contains {limit:g}"


def _decide_alike(claim: Claim, value: float) -> tuple[Verdict, str]:
    """The verdict on a count that is the same for all seeds."""
    if claim.within is not None:
        holds = abs(value) <= claim.within
    else:
        holds = value > claim.above if claim.above is not None else value < (claim.below or 0.0)
    verdict = Verdict.REPRODUCED if holds else Verdict.DIFFERS
    return verdict, f"all seeds count {value:g}"


def _badness(claim: Claim, mean: Estimate) -> float:
    """How far the interval reaches against the claim."""
    if not (isfinite(mean.low) and isfinite(mean.high)):
        return inf
    if claim.within is not None:
        return max(abs(mean.low), abs(mean.high))
    return -mean.low if claim.above is not None else mean.high


def unpaired(values: Sequence[float]) -> Unpaired | None:
    """The difference without pairing. None if the values are not differences, or too few."""
    if not isinstance(values, Paired) or len(values) < 2:
        return None
    of, minus = np.array(values.of), np.array(values.minus)
    if not (np.isfinite(of).all() and np.isfinite(minus).all()):
        return None
    varies = of.std() > 0 and minus.std() > 0
    if not varies:
        return None
    from scipy import stats  # takes seconds, and only judging needs it

    interval = stats.ttest_ind(of, minus, equal_var=False).confidence_interval(CONFIDENCE)
    correlation = float(np.corrcoef(of, minus)[0, 1])
    return Unpaired(float(interval.low), float(interval.high), correlation)


def detectable(mean: Estimate) -> float:
    """The distance from the limit that as many further seeds decide with 80% power.

    It is (t_0.975 + t_0.8) standard errors, which approximates the noncentral t distribution.
    """
    if mean.count < 2 or not isfinite(mean.std):
        return nan
    quantiles = [student_quantile(q, mean.count - 1) for q in (0.5 + CONFIDENCE / 2, POWER)]
    return sum(quantiles) * mean.std / sqrt(mean.count)
