"""The claim ledger: verdicts from intervals."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from tests.made_results import PAPER, claim, made, parts_of
from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import judge_claim
from vaebench.claims.ledger_text import mark, to_markdown
from vaebench.claims.paper import PaperValues, load_paper_values, own_claims
from vaebench.claims.printed import runs_with
from vaebench.claims.registry import compute, describe, load_statistics
from vaebench.claims.select import NotRun, Watched
from vaebench.errors import UserError
from vaebench.experiment.tier import load_tier
from vaebench.paths import CONFIGS


def with_differences(differences: list[float]) -> Watched:
    """Runs whose bounds at a seed differ by these; the bounds themselves differ far more."""
    rows = []
    for seed, difference in enumerate(differences):
        base = {"experiment": "posterior_variance", "seed": seed}
        level = -100.0 - 10 * seed
        rows.append(base | {"objective": "learned", "test_elbo": level})
        rows.append(base | {"objective": "bilbo", "test_elbo": level + difference})
    return made(rows)


@pytest.mark.parametrize(
    ("differences", "criterion", "verdict"),
    [
        ([1.0, 1.1, 1.2], {"above": 0.0}, "reproduced"),
        ([-1.0, -1.1, -1.2], {"above": 0.0}, "differs"),
        ([-1.0, 1.1, 1.2], {"above": 0.0}, "inconclusive"),
        ([1.0, 1.1, 1.2], {"above": 2.0}, "differs"),
        ([1.0, 1.1, 1.2], {"below": 2.0}, "reproduced"),
        ([1.0, 1.1, 1.2], {"below": 0.0}, "differs"),
        ([1.0, 1.1, 1.2], {"within": 2.0}, "reproduced"),
        ([-1.0, -1.1, -1.2], {"within": 2.0}, "reproduced"),
        ([1.0, 1.1, 1.2], {"within": 0.5}, "differs"),
        ([-1.0, -1.1, -1.2], {"within": 0.5}, "differs"),
        ([1.0, 1.1, 1.2], {"within": 1.2}, "inconclusive"),
        ([-9.0, 0.0, 9.0], {"within": 1.0}, "inconclusive"),
        ([1.0], {"above": 0.0}, "inconclusive"),
        ([1.0, 1.1, float("nan")], {"above": 0.0}, "inconclusive"),
        ([1.0 + k / 10 for k in range(12)], {"above": 0.0}, "reproduced"),
        ([1.0, 1.0, 1.0], {"above": 0.0}, "inconclusive"),  # no seed differs: no interval
        ([1.0, 1.0, 1.0], {"above": 0.0, "counted": True}, "reproduced"),
        ([1.0, 1.0, 1.0], {"below": 0.0, "counted": True}, "differs"),
        ([1.0, 1.0, 1.0], {"within": 0.5, "counted": True}, "differs"),
        ([0.0, 0.0, 0.0], {"within": 0.5, "counted": True}, "reproduced"),
        ([0.0, 0.0, 0.0], {"above": 0.0, "counted": True}, "differs"),
        ([1.0, 1.0], {"above": 0.0, "counted": True}, "inconclusive"),
        ([1.0, 1.0, 1.0], {"exactly": 1.0}, "reproduced"),  # a count has no error
        ([1.0, 1.0, 1.5], {"exactly": 1.0}, "differs"),
    ],
)
def test_verdicts(differences: list[float], criterion: dict[str, float], verdict: str) -> None:
    line = judge_claim(with_differences(differences), claim(**criterion))
    assert line.verdict == verdict
    assert line.reason
    if len(differences) >= 3 and np.isfinite(differences).all():
        assert line.value == pytest.approx(np.mean(differences))
        assert line.interval == "Student's t"
    if line.interval == "Student's t":
        reference = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
        assert (line.low, line.high) == pytest.approx((reference.low, reference.high))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.floats(0.1, 4))
def test_a_verdict_never_claims_more_than_its_interval(
    differences: list[float], margin: float
) -> None:
    results = with_differences(differences)
    same = judge_claim(results, claim(within=margin))
    assert same.low is not None
    assert same.high is not None
    varies = same.low < same.high
    inside = varies and -margin <= same.low and same.high <= margin
    outside = varies and (same.low > margin or same.high < -margin)
    assert (same.verdict == Verdict.REPRODUCED) == inside
    assert (same.verdict == Verdict.DIFFERS) == outside
    above, below = (judge_claim(results, claim(**{k: 0.0})).verdict for k in ("above", "below"))
    opposite = {"reproduced": "differs", "differs": "reproduced", "inconclusive": "inconclusive"}
    assert below == opposite[above]


def test_runs_that_are_not_there_are_not_run() -> None:
    results = made([{"experiment": "posterior_variance", "objective": "learned", "seed": 0,
                     "test_elbo": 1.0}])  # fmt: skip
    line = judge_claim(results, claim(above=0.0))
    assert line.verdict == Verdict.NOT_RUN
    assert "objective bilbo" in line.reason
    assert (line.value, line.parts, line.interval) == (None, {}, "none")
    missing = judge_claim(results, claim(above=0.0, arguments={"of": "bilbo", "minus": "learned",
                                                               "n": "high"}))  # fmt: skip
    assert missing.verdict == Verdict.NOT_RUN


def test_a_run_in_two_experiments_counts_once() -> None:
    runs = pd.DataFrame(
        {"objective": ["learned"] * 3, "run_hash": ["a", "a", "b"], "test_elbo": [1.0, 1.0, 2.0]}
    )
    assert runs_with(runs, {"objective": "learned"})["test_elbo"].tolist() == [1.0, 2.0]
    assert runs_with(runs, {"objective": "bilbo"}).empty


def test_the_papers_file_is_whole() -> None:
    paper = load_paper_values(PAPER)
    printed = [value for entry in paper.numbers for value in entry.values]
    assert sorted(printed) == [-136.5, -135.0, -134.4, -134.3, -134.2, 2.2, 2.3]
    statistics = load_statistics()
    used = {entry.statistic for entry in paper.claims}
    for name in ("controls", "evidence", "questions"):
        used |= {entry.statistic for entry in own_claims(load_tier(CONFIGS / f"{name}.yaml"))}
    assert used == set(statistics), "a statistic decides no claim"
    places = " ".join(entry.place for entry in paper.claims)
    for figure in ("2", "3", "4a", "4b", "4c", "5", "6a", "6b", "6c", "8", "9", "10", "11"):
        assert f"Fig. {figure}" in places
    for name in statistics:
        assert len(describe(name)) > 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"statistic": "nonsense"}, "'nonsense' is not one of: .*bound_difference"),
        ({"within": 1.0}, "give one of: above, below, within, exactly"),
        ({"above": None}, "give one of: above, below, within, exactly"),
        ({"margin": 1.0}, "Extra inputs"),
        ({"arguments": {"n": "low"}}, "got an unexpected keyword argument 'n'"),
        ({"id": "fig02-comparable"}, "two entries have the id"),
    ],
)
def test_a_wrong_claim_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    values = yaml.safe_load(PAPER.read_text())
    values["claims"][1] |= change
    path = tmp_path / "paper.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match=message):
        load_paper_values(path)
    with pytest.raises(UserError, match="cannot read"):
        load_paper_values(tmp_path / "nothing.yaml")
    with pytest.raises(ValidationError):
        PaperValues.model_validate({"numbers": []})


STDS = (0.01, 0.1, 1.0, 10.0, 100.0)


def scaling(bounds_of: Any, epochs_of_learned: int = 20) -> Watched:
    """Fig. 8's runs, with a bound for each (std, scale, seed); the std is None for `learned`."""
    pairs: list[tuple[str, float | None, float]] = [
        *(("constant_variance", std, 1.0) for std in STDS),
        *(("latent_scaling", None, scale) for scale in (0.1, 1.0, 10.0)),
        *(("scaling_control", 1.0, scale) for scale in (0.1, 10.0)),
    ]
    return made(
        [
            {
                "experiment": experiment, "objective": "bilbo" if std else "learned",
                "seed": seed, "posterior_std": std, "latent_scale": scale,
                "test_elbo": bounds_of(std, scale, seed),
                "epochs": 20 if std else epochs_of_learned,
            }
            for experiment, std, scale in pairs
            for seed in (0, 1)
        ]
    )  # fmt: skip


def test_fig_8_as_the_paper_has_it() -> None:
    """Bounds fall with the distance of std and scale; `learned` is a nat below std 1."""

    def bound(std: float | None, scale: float, seed: int) -> float:
        distance = abs(math.log10((std or 1.0) / scale))
        return -130 - 2 * distance - seed - (0.0 if std else 1.0)

    results = scaling(bound)
    leads = parts_of("matching_std_is_best", results, n="low")
    assert leads == {
        f"ratio {ratio}": pytest.approx([lead, lead])
        for ratio, lead in (("0.01", 4.0), ("0.1", 2.0), ("10", 2.0), ("100", 4.0))
    }
    worse = parts_of("unit_std_minus_learned", results, n="low")
    assert worse == {f"latent_scale {c}": pytest.approx([1.0, 1.0]) for c in ("0.1", "1", "10")}
    # At c = 0.1: learned -133, std 1 -132, std 10 -134: as near to the one as to the other.
    leads = parts_of("learned_is_like_unit_std", results, n="low")
    assert len(leads) == 6
    assert leads["latent_scale 0.1, std 10"] == pytest.approx([0.0, 0.0])
    assert leads["latent_scale 0.1, std 0.1"] == pytest.approx([2.0, 2.0])
    control = parts_of("scaled_minus_ratio", results, n="low")
    assert control == {f"latent_scale {c}, std 1": pytest.approx([0, 0]) for c in ("0.1", "10")}


def test_fig_8_with_another_order_and_a_diverged_rival() -> None:
    def bound(std: float | None, scale: float, seed: int) -> float:
        bounds = {None: -131.0, 0.01: -160.0, 0.1: -150.0, 1.0: -130.0, 10.0: -120.0}
        return bounds.get(std, float("nan")) - (scale if std == 1.0 and scale != 1.0 else 0) - seed

    results = scaling(bound)
    leads = parts_of("matching_std_is_best", results, n="low")
    assert leads["ratio 10"] == pytest.approx([-10.0] * 2)
    assert "ratio 100" not in leads
    nearest = parts_of("learned_is_like_unit_std", results, n="low")
    # At c = 0.1, std 1 is the ratio 10 (11 nats off), std 0.1 the ratio 1 (1 nat), std 10 diverged.
    assert nearest["latent_scale 0.1, std 0.1"] == pytest.approx([-10.0] * 2)
    assert "latent_scale 0.1, std 10" not in nearest
    assert nearest["latent_scale 10, std 0.1"] == pytest.approx([10.0] * 2)
    control = parts_of("scaled_minus_ratio", results, n="low")
    assert control["latent_scale 0.1, std 1"] == pytest.approx([-130.1 + 120.0] * 2)
    assert control["latent_scale 10, std 1"] == pytest.approx([-140.0 + 150.0] * 2)


def test_a_rival_in_fig_8_with_one_diverged_seed_still_counts() -> None:
    def bound(std: float | None, _: float, seed: int) -> float:
        return math.nan if (std, seed) == (10.0, 0) else -130.0 - abs(math.log10(std or 2.0))

    leads = parts_of("matching_std_is_best", scaling(bound), n="low")
    assert np.isnan(leads["ratio 10"]).tolist() == [True, False]
    nearest = parts_of("learned_is_like_unit_std", scaling(bound), n="low")
    assert np.isnan(nearest["latent_scale 1, std 10"]).tolist() == [True, False]


def test_runs_of_fig_8_that_are_missing_are_no_runs_that_diverged() -> None:
    whole = scaling(lambda std, _, seed: -130 - abs(math.log10(std or 2.0)) - seed)
    rows = whole.runs
    later = (rows["posterior_std"] == 10.0) & (rows["seed"] == 1)
    results = made(rows[~later].to_dict("records"))  # type: ignore[arg-type]
    leads = parts_of("matching_std_is_best", results, n="low")
    assert leads["ratio 10"] == pytest.approx([1.0])
    assert leads["ratio 0.1"] == pytest.approx([1.0] * 2)
    no_ten: Any = rows[rows["posterior_std"] != 10.0].to_dict("records")
    without = made(no_ten, as_planned=True)
    for name in ("unit_std_minus_learned", "learned_is_like_unit_std", "scaled_minus_ratio"):
        with pytest.raises(NotRun, match=r"no runs with the ratio 10, for std 1 at .* 0\.1$"):
            compute(name, without, {"n": "low"})
    with pytest.raises(NotRun, match=r"no runs with posterior_std 10$"):
        compute("matching_std_is_best", without, {"n": "low"})
    is_unscaled = (rows["objective"] == "bilbo") | (rows["latent_scale"] == 1.0)
    unscaled: Any = rows[is_unscaled].to_dict("records")
    part = made(unscaled, as_planned=True)
    for name in ("unit_std_minus_learned", "learned_is_like_unit_std"):
        with pytest.raises(NotRun, match=r"no runs with latent_scale 0\.1, 10$"):
            compute(name, part, {"n": "low"})
    shorter = scaling(lambda *_: -130.0, epochs_of_learned=10)
    with pytest.raises(NotRun, match="'constant_variance' and 'latent_scaling' differ in epochs"):
        compute("unit_std_minus_learned", shorter, {"n": "low"})


@pytest.mark.parametrize(
    ("shift", "verdict", "where"), [(0.0, "reproduced", ""), (9.0, "differs", "ratio 10")]
)
def test_a_claim_of_always_stands_or_falls_with_its_worst_case(
    shift: float, verdict: str, where: str
) -> None:
    def bound(std: float | None, scale: float, seed: int) -> float:
        distance = abs(math.log10((std or 1.0) / scale))
        noise = 0.01 * math.sin(10 * seed + 3 * (std or 0) + scale)
        return -130 - 2 * distance + noise + (shift if std == 10.0 else 0.0)

    always = claim(above=0.0, statistic="matching_std_is_best", arguments={"n": "low"})
    line = judge_claim(scaling(bound), always)
    assert line.verdict == verdict
    assert where in line.reason
    assert len(line.parts) == 4
    assert line.runs == "digits, n = 2, 20 epochs, 10 runs"


def test_verdicts_on_other_training_than_the_papers_are_marked() -> None:
    results = with_differences([1.0, 1.1, 1.2])
    theirs: dict[str, Any] = {"dataset": "digits", "epochs": 20}
    for training, same in ((theirs, True), (theirs | {"epochs": 200}, False)):
        assert judge_claim(results, claim(above=0.0), [training]).as_in_paper == same
    coarse = made(results.runs.assign(precision="bfloat16").to_dict("records"))  # type: ignore[arg-type]
    assert not judge_claim(coarse, claim(above=0.0), [theirs]).as_in_paper


def test_claims_that_were_written_when_runs_had_been_seen_are_marked() -> None:
    """Where other runs than the paper's decide, none of them had been seen."""
    results = with_differences([1.0, 1.1, 1.2])
    late = claim(above=0.0, after_seeing=True)
    theirs: dict[str, Any] = {"dataset": "digits", "epochs": 20}
    for training, sign, said in (
        (theirs, "‡", "is on a claim that was written, or changed, when some of its runs"),
        (theirs | {"epochs": 200}, "†", "rests on runs that were not trained as in the paper"),
    ):
        line = judge_claim(results, late, [training])
        assert mark(line) == f" {sign}"
        assert line.after_seeing == (sign == "‡")
        text = to_markdown("small", [line])
        assert f"1 verdict {said}" in text
        assert f"**reproduced** {sign}" in text
    assert mark(judge_claim(results, claim(above=0.0), [theirs])) == ""
    line = judge_claim(results, late, [theirs])
    assert mark(line.model_copy(update={"verdict": Verdict.NOT_RUN})) == ""


def test_runs_that_differ_in_more_than_their_seed_are_not_paired() -> None:
    results = with_differences([1.0, 1.1])
    doubled = made(results.runs.to_dict("records") * 2)  # type: ignore[arg-type]
    line = judge_claim(doubled, claim(above=0.0))
    assert line.verdict == Verdict.NOT_RUN
    assert "differ in more than their seed" in line.reason


def test_a_part_of_a_sweep_decides_nothing() -> None:
    def rows(scales: dict[float, tuple[int, ...]]) -> list[dict[str, Any]]:
        return [
            {"experiment": "baggins_scale", "likelihood": "baggins", "data_scale": scale,
             "seed": seed, "test_elbo_data_units": 100.0 + seed + scale, "objective": "bilbo"}
            for scale, seeds in scales.items()
            for seed in seeds
        ]  # fmt: skip

    name = "scale_changes_bound"
    later = made(rows({0.1: (0, 1), 1.0: (0, 1, 2), 10.0: (0, 1)}))
    assert parts_of(name, later, n="low") == {
        "data_scale 0.1": pytest.approx([-0.9] * 2),
        "data_scale 10": pytest.approx([9.0] * 2),
    }
    with pytest.raises(NotRun, match="no seed has runs with all values of data_scale"):
        compute(name, made(rows({0.1: (0,), 1.0: (1, 2)})), {"n": "low"})
    with pytest.raises(NotRun, match="no runs with data_scale"):
        compute(name, made(rows({1.0: (0, 1), 0.7: (0, 1)}), as_planned=True), {"n": "low"})
