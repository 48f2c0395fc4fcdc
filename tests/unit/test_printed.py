"""Numbers that the paper prints, against what our runs predict for one run."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.made_results import made
from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import judge_number
from vaebench.claims.paper import Number
from vaebench.claims.printed import prediction
from vaebench.claims.select import Watched

EPOCHS = (50, 100, 150, 200)


def runs(bounds: dict[str, list[list[float]]]) -> Watched:
    """For each objective, a run for each seed with its bounds at these epochs."""
    rows, history = [], []
    for objective, seeds in bounds.items():
        for seed, values in enumerate(seeds):
            folder = f"objective~{objective}/seed~{seed}"
            rows.append(
                {"experiment": "e", "folder": folder, "run_hash": folder,
                 "objective": objective, "seed": seed, "test_elbo": values[-1]}
            )  # fmt: skip
            history += [
                {"experiment": "e", "folder": folder, "epoch": epoch, "step": 200 * epoch,
                 "test_elbo": value}
                for epoch, value in zip(EPOCHS, values, strict=True)
            ]  # fmt: skip
    return made(rows, history)


def number(values: list[float], resolution: float = 50.0, **further: Any) -> Number:
    return Number(
        id="a-number",
        place="Fig. 2",
        settings={"objective": "learned"},
        values=values,
        resolution=resolution,
        **further,
    )


NORMAL = [[0.0, 0.0, -135 + k, -135 + k] for k in (-1.0, -0.5, 0.0, 0.5, 1.0)]


def test_verdicts_on_printed_numbers() -> None:
    results = runs({"learned": NORMAL})
    inside, outside = judge_number(results, number([-135.5, -150.0]))
    assert (inside.verdict, outside.verdict) == (Verdict.COMPATIBLE, Verdict.DIFFERS)
    assert (inside.id, outside.id) == ("a-number-1", "a-number-2")
    assert inside.interval == "prediction"
    assert inside.value == -135.0
    assert inside.p is None
    (wide,) = judge_number(results, number([-135.0], resolution=1.0))
    assert wide.verdict == Verdict.INCONCLUSIVE
    (far,) = judge_number(results, number([-150.0], resolution=1.0))
    assert far.verdict == Verdict.DIFFERS
    for bounds, verdict, reason in (
        ([], Verdict.NOT_RUN, "no runs"),
        (NORMAL[:4], Verdict.INCONCLUSIVE, "fewer than 5"),
        ([*NORMAL, [0.0, 0.0, -135.0, math.nan]], Verdict.INCONCLUSIVE, "diverged"),
    ):
        other = [[1.0] * 4]
        (line,) = judge_number(runs({"bilbo": other, "learned": bounds}), number([-135.0]))
        assert line.verdict == verdict
        assert reason in line.reason


def test_late_falls_widen_the_prediction_on_their_side_only() -> None:
    fallen = [list(values) for values in NORMAL]
    fallen[0][2] = -145.0
    before, after = (
        judge_number(runs({"learned": bounds}), number([-141.0]))[0] for bounds in (NORMAL, fallen)
    )
    assert (before.verdict, after.verdict) == (Verdict.DIFFERS, Verdict.COMPATIBLE)
    assert before.low is not None
    assert after.low is not None
    assert after.low < before.low - 3
    assert after.high == pytest.approx(before.high, abs=0.5)


def test_a_difference_is_taken_at_the_same_seed_and_epoch() -> None:
    rival = [[value + 2.0 for value in values] for values in NORMAL]
    results = runs({"learned": NORMAL, "bilbo": [*rival[:-1], [0.0, 0.0, -132.0, -131.9]]})
    gap = number([2.0], minus={"objective": "learned"})
    gap = gap.model_copy(update={"settings": {"objective": "bilbo"}})
    (line,) = judge_number(results, gap)
    assert line.parts[""] == pytest.approx([2.0, 2.0, 2.0, 2.0, 2.1])
    assert line.verdict == Verdict.COMPATIBLE
    assert line.says == "the difference of two test bounds is 2, bilbo minus learned"


@pytest.mark.parametrize("last", [[math.nan] * 4, [0.0, 0.0, math.nan, math.nan]])
def test_a_diverged_run_leaves_a_difference_undecided(last: list[float]) -> None:
    rival = [[value + 2.0 for value in values] for values in NORMAL]
    gap = number([2.0], minus={"objective": "learned"})
    gap = gap.model_copy(update={"settings": {"objective": "bilbo"}})
    whole = {"learned": [*NORMAL, NORMAL[0]], "bilbo": [*rival, rival[0]]}
    assert judge_number(runs(whole), gap)[0].verdict == Verdict.COMPATIBLE
    for objective, others in (("learned", NORMAL), ("bilbo", rival)):
        (line,) = judge_number(runs(whole | {objective: [*others, last]}), gap)
        assert (line.verdict, line.reason) == (Verdict.INCONCLUSIVE, "a run diverged")


def test_runs_without_a_shared_step_give_no_difference() -> None:
    assert prediction([pd.Series(dtype=float), pd.Series([1.0])]).finals == [1.0]


def test_for_normal_bounds_it_is_close_to_students_prediction_interval() -> None:
    rng = np.random.default_rng(0)
    sample = rng.normal(size=4000)
    found = prediction([pd.Series([value]) for value in sample])
    half = stats.t.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) * (1 + 1 / len(sample)) ** 0.5
    assert found.high - found.low == pytest.approx(2 * half, rel=0.05)
    few = prediction([pd.Series([value] * 3) for value in (-1.0, -0.5, 0.0, 0.5, 1.0)])
    widened = stats.t.ppf(0.975, 4) / stats.norm.ppf(0.975) * 1.2**0.5
    assert (few.low, few.high) == pytest.approx((-widened, widened))
