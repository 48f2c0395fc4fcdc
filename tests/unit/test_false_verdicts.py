"""How often each rule gives a false verdict, in simulations where the truth is known.

The truth lies on the limit, where errors are most frequent: a verdict in either direction is then
false. The numbers of seeds are those in use.
"""

import numpy as np
import pandas as pd
import pytest

from tests.made_results import claim
from vaebench.claims.judge import Verdict, judge
from vaebench.claims.paper import Number
from vaebench.claims.printed import judge_printed, prediction
from vaebench.claims.select import Paired

TRIALS = 600
WIDE = Number(id="a", place="", settings={}, values=[0.0], resolution=50.0)
ALLOWED = 0.05
SEEDS = (3, 5, 10, 20)


def rates(verdicts: list[Verdict]) -> tuple[float, float]:
    """The shares of `reproduced` (or `compatible`) and of `differs`."""
    yes = sum(v in (Verdict.REPRODUCED, Verdict.COMPATIBLE) for v in verdicts)
    return yes / len(verdicts), sum(v == Verdict.DIFFERS for v in verdicts) / len(verdicts)


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize(
    ("criterion", "truth"), [({"above": -1.0}, -1.0), ({"below": 0.0}, 0.0), ({"within": 1.0}, 1.0)]
)
def test_on_the_limit(criterion: dict[str, float], truth: float, seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    samples = rng.normal(truth, 0.5, (TRIALS, seeds))
    rule = claim(**criterion)
    found = rates([judge(rule, {"": sample.tolist()}).verdict for sample in samples])
    assert max(found) <= ALLOWED


@pytest.mark.parametrize("seeds", SEEDS)
def test_paired_runs_that_share_nothing_or_much(seeds: int) -> None:
    for correlation in (0.0, 0.9):
        rng = np.random.default_rng(seeds)
        shared = rng.normal(size=(TRIALS, seeds)) * correlation
        of, minus = (
            shared + (1 - correlation**2) ** 0.5 * rng.normal(size=shared.shape) for _ in range(2)
        )
        verdicts = [
            judge(claim(above=0.0), {"": Paired(tuple(a), tuple(b))}).verdict
            for a, b in zip(of, minus, strict=True)
        ]
        assert max(rates(verdicts)) <= ALLOWED


@pytest.mark.parametrize("seeds", [3, 5])
def test_twenty_true_parts_are_rarely_condemned(seeds: int) -> None:
    """Without Holm's correction, four of ten such claims would differ."""
    rng = np.random.default_rng(seeds)
    samples = rng.normal(0.0, 0.5, (200, 20, seeds))
    verdicts = [
        judge(claim(above=0.0), {str(k): part.tolist() for k, part in enumerate(parts)}).verdict
        for parts in samples
    ]
    reproduced, differs = rates(verdicts)
    assert differs <= ALLOWED
    assert reproduced == 0.0


def late_epochs(rng: np.random.Generator, runs: int) -> list["pd.Series[float]"]:
    """Late bounds of runs: a level each, noise between epochs, and a fall now and then."""
    level = rng.normal(-135.0, 0.4, (runs, 1))
    noise = rng.normal(0.0, 0.3, (runs, 11))
    falls = (rng.random((runs, 11)) < 0.08) * rng.exponential(2.0, (runs, 11))
    return [pd.Series(row) for row in level + noise - falls]


@pytest.mark.parametrize("runs", [5, 10, 20])
def test_another_run_of_ours_rarely_differs_from_its_prediction(runs: int) -> None:
    rng = np.random.default_rng(runs)
    verdicts = [
        judge_printed(WIDE, float(other.iloc[-1]), prediction(ours))[0]
        for *ours, other in (late_epochs(rng, runs + 1) for _ in range(TRIALS))
    ]
    assert rates(verdicts)[1] <= ALLOWED


def test_a_run_of_another_kind_differs_from_its_prediction() -> None:
    rng = np.random.default_rng(0)
    verdicts = [judge_printed(WIDE, -150.0, prediction(late_epochs(rng, 10)))[0] for _ in range(20)]
    assert rates(verdicts)[1] == 1.0
