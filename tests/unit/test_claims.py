"""The claim ledger: verdicts from intervals, and statistics on runs whose answer is known."""

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

from tests.conftest import PROJECT
from vaebench.claims import codes, compute, describe, load_statistics
from vaebench.claims.ledger import Verdict, judge_claim, judge_number, runs_with
from vaebench.claims.paper import Claim, Number, PaperValues, load_paper_values
from vaebench.claims.select import NotRun, Watched
from vaebench.config import Tier, load_tier
from vaebench.errors import UserError
from vaebench.layout import Layout

PAPER = PROJECT / "config" / "paper_values.yaml"
TIER = load_tier(PROJECT / "config" / "smoke.yaml")


class Made(Watched):
    """Results made up for a test, with arrays by folder."""

    made: dict[str, dict[str, Any]]

    def arrays(self, row: Any) -> dict[str, Any]:
        return self.made[row["folder"]]


def made(
    rows: list[dict[str, Any]],
    history: list[dict[str, Any]] | None = None,
    arrays: dict[str, dict[str, Any]] | None = None,
    tier: Tier = TIER,
) -> Watched:
    common: dict[str, Any] = {
        "latent_dim": 2, "status": "completed", "test_active_units": 2, "dataset": "digits",
        "epochs": 20, "steps": None,
    }  # fmt: skip
    filled = [common | {"folder": str(k), "run_hash": str(k)} | r for k, r in enumerate(rows)]
    results = Made(Layout(Path("nowhere")), tier, pd.DataFrame(filled), pd.DataFrame(history or []))
    object.__setattr__(results, "made", arrays or {})
    return results


def values_of(name: str, results: Watched, **arguments: object) -> list[float]:
    """The numbers of a statistic with one part."""
    (numbers,) = compute(name, results, arguments).values()
    assert isinstance(numbers, list)
    return numbers


def parts_of(name: str, results: Watched, **arguments: object) -> dict[str, list[float]]:
    """The numbers of a statistic with several parts."""
    parts = compute(name, results, arguments)
    return {place: numbers for place, numbers in parts.items() if isinstance(numbers, list)}


def claim(**criterion: Any) -> Claim:
    values = {
        "id": "a-claim", "place": "Fig. 4a", "says": "one is larger", "unit": "nats",
        "statistic": "bound_difference",
        "arguments": {"of": "bilbo", "minus": "learned", "n": "low"},
    }  # fmt: skip
    return Claim.model_validate(values | criterion)


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
    ],
)
def test_verdicts(differences: list[float], criterion: dict[str, float], verdict: str) -> None:
    line = judge_claim(with_differences(differences), claim(**criterion))
    assert line.verdict == verdict
    assert line.reason
    if len(differences) >= 3 and np.isfinite(differences).all():
        assert line.value == pytest.approx(np.mean(differences))
        assert line.interval == ("Student's t" if len(differences) < 10 else "bootstrap")
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


def number(values: list[float], resolution: float = 5.0) -> Number:
    return Number(
        id="a-number",
        place="Fig. 2",
        settings={"objective": "learned"},
        values=values,
        resolution=resolution,
    )


def bounds(*values: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"test_elbo": values, "latent_dim": 2, "epochs": 20, "steps": None, "dataset": "digits"}
    )


def test_a_printed_number_is_compared_with_a_single_runs_prediction_interval() -> None:
    ours = bounds(-135.0, -134.0, -136.0)
    half = stats.t.ppf(0.975, 2) * 1.0 * (1 + 1 / 3) ** 0.5
    assert half == pytest.approx(4.968, abs=0.001)
    inside, outside = judge_number(number([-135 - half + 0.01, -135 - half - 0.01]), ours)
    assert (inside.verdict, outside.verdict) == (Verdict.REPRODUCED, Verdict.DIFFERS)
    assert (inside.id, outside.id) == ("a-number-1", "a-number-2")
    assert (inside.low, inside.high) == pytest.approx((-135 - half, -135 + half))
    assert inside.interval == "prediction"
    (wide,) = judge_number(number([-135.0], resolution=1.0), ours)
    assert wide.verdict == Verdict.INCONCLUSIVE
    (far,) = judge_number(number([-150.0], resolution=1.0), ours)
    assert far.verdict == Verdict.DIFFERS
    for lacking, verdict in (
        (bounds(), Verdict.NOT_RUN),
        (bounds(-135.0), Verdict.INCONCLUSIVE),
        (bounds(-135.0, float("nan")), Verdict.INCONCLUSIVE),
    ):
        assert judge_number(number([-135.0]), lacking)[0].verdict == verdict


def test_a_run_in_two_experiments_counts_once() -> None:
    runs = pd.DataFrame(
        {"objective": ["learned"] * 3, "run_hash": ["a", "a", "b"], "test_elbo": [1.0, 1.0, 2.0]}
    )
    assert runs_with(runs, {"objective": "learned"})["test_elbo"].tolist() == [1.0, 2.0]
    assert runs_with(runs, {"objective": "bilbo"}).empty


def test_the_papers_file_is_whole() -> None:
    paper = load_paper_values(PAPER)
    printed = [value for entry in paper.numbers for value in entry.values]
    assert sorted(set(printed)) == [-136.5, -135.0, -134.4, -134.3, -134.2]
    statistics = load_statistics()
    used = {entry.statistic for entry in paper.claims}
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
        ({"within": 1.0}, "give one of: above, below, within"),
        ({"above": None}, "give one of: above, below, within"),
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


def scaling(bounds_of: Any, scales: tuple[float, ...] = (0.1, 1.0, 10.0)) -> Watched:
    """Fig. 8's grid, with a bound for each (objective, std, scale, seed)."""
    rows = []
    for scale in scales:
        for seed in (0, 1):
            for std in (None, 0.1, 1.0, 10.0):
                objective = "learned" if std is None else "bilbo"
                rows.append(
                    {
                        "experiment": "latent_scaling", "objective": objective, "seed": seed,
                        "posterior_std": std, "latent_scale": scale,
                        "test_elbo": bounds_of(std, scale, seed),
                    }
                )  # fmt: skip
    return made(rows)


def test_fig_8_as_the_paper_has_it() -> None:
    """Bounds fall with the distance of std and scale; `learned` is a nat below std 1."""

    def bound(std: float | None, scale: float, seed: int) -> float:
        distance = abs(math.log10((std or 1.0) / scale))
        return -130 - 2 * distance - seed - (0.0 if std else 1.0)

    results = scaling(bound)
    leads = parts_of("matching_std_is_best", results, n="low")
    assert len(leads) == 6
    assert leads["latent_scale 0.1, std 10"] == pytest.approx([4.0, 4.0])
    assert min(min(values) for values in leads.values()) == pytest.approx(2.0)
    worse = parts_of("unit_std_minus_learned", results, n="low")
    assert worse == {f"latent_scale {c}": pytest.approx([1.0, 1.0]) for c in ("0.1", "1", "10")}
    # At c = 0.1: learned -133, std 1 -132, std 10 -134: as near to the one as to the other.
    leads = parts_of("learned_is_like_unit_std", results, n="low")
    assert leads["latent_scale 0.1, std 10"] == pytest.approx([0.0, 0.0])
    assert leads["latent_scale 0.1, std 0.1"] == pytest.approx([2.0, 2.0])


def test_fig_8_with_another_order_and_a_diverged_rival() -> None:
    def bound(std: float | None, scale: float, _: int) -> float:
        if std == 10.0 and scale == 0.1:
            return float("nan")
        return {None: -131.0, 0.1: -150.0, 1.0: -130.0, 10.0: -140.0}[std]

    results = scaling(bound)
    leads = parts_of("matching_std_is_best", results, n="low")
    assert "latent_scale 0.1, std 10" not in leads
    assert min(leads.values()) == pytest.approx([-20.0] * 2)
    nearest = parts_of("learned_is_like_unit_std", results, n="low")
    assert min(nearest.values()) == pytest.approx([8.0] * 2)
    with pytest.raises(NotRun, match="fewer than two"):
        compute("matching_std_is_best", scaling(bound, (0.5, 1.0)), {"n": "low"})


@pytest.mark.parametrize(
    ("shift", "verdict", "where"),
    [(0.0, "reproduced", ""), (-9.0, "differs", "latent_scale 10, std 1")],
)
def test_a_claim_of_always_stands_or_falls_with_its_worst_case(
    shift: float, verdict: str, where: str
) -> None:
    def bound(std: float | None, scale: float, seed: int) -> float:
        distance = abs(math.log10((std or 1.0) / scale))
        noise = 0.01 * math.sin(10 * seed + 3 * (std or 0) + scale)
        return -130 - 2 * distance + noise + (shift if std == scale == 10.0 else 0.0)

    always = claim(above=0.0, statistic="matching_std_is_best", arguments={"n": "low"})
    line = judge_claim(scaling(bound), always)
    assert line.verdict == verdict
    assert where in line.reason
    assert len(line.parts) == 6
    assert line.runs == "digits, n = 2, 20 epochs, 18 runs"


def test_verdicts_on_other_training_than_the_papers_are_marked() -> None:
    results = with_differences([1.0, 1.1, 1.2])
    theirs: dict[str, Any] = {"dataset": "digits", "epochs": 20}
    for training, same in ((theirs, True), (theirs | {"epochs": 200}, False)):
        assert judge_claim(results, claim(above=0.0), [training]).as_in_paper == same


def test_runs_that_differ_in_more_than_their_seed_are_not_paired() -> None:
    results = with_differences([1.0, 1.1])
    doubled = made(results.runs.to_dict("records") * 2)  # type: ignore[arg-type]
    line = judge_claim(doubled, claim(above=0.0))
    assert line.verdict == Verdict.NOT_RUN
    assert "differ in more than their seed" in line.reason


def test_the_spread_over_seeds_has_a_chi_squared_interval() -> None:
    rows = [
        {"experiment": "posterior_variance", "objective": "learned", "seed": k, "test_elbo": v}
        for k, v in enumerate([-136.5, -135.0, -134.4])
    ]
    spread = claim(
        below=2.1, statistic="bound_spread", arguments={"objective": "learned", "n": "low"}
    )
    line = judge_claim(made(rows), spread)
    assert line.value == pytest.approx(np.std([-136.5, -135.0, -134.4], ddof=1))
    low, high = (2 * (line.value or 0) ** 2 / stats.chi2.ppf([0.975, 0.025], 2)) ** 0.5
    assert (line.low, line.high) == pytest.approx((low, high))
    assert (line.interval, line.verdict) == ("chi-squared", "inconclusive")
    assert judge_claim(made(rows[:2]), spread).verdict == Verdict.NOT_RUN


def test_falls_and_growth_of_the_bound_under_learned_variances() -> None:
    row: dict[str, Any] = {
        "experiment": "gaussian_scale", "likelihood": "gaussian-learned", "seed": 0,
        "test_mse": 0.9, "test_mean_image_mse": 1.0,
    }  # fmt: skip
    curves = {"1": [0, 10, 5, 20, 15, 40], "10": [0, 10, 20, 30, 40, 50]}
    rows = [row | {"folder": folder, "data_scale": float(folder)} for folder in curves]
    history = [
        {"experiment": "gaussian_scale", "folder": folder, "epoch": k, "test_elbo": value}
        for folder, curve in curves.items()
        for k, value in enumerate(curve)
    ]
    results = made(rows, history)
    # The means of 10 and 0, and of 20 and 20 from the middle, epoch 3 of 0 to 5.
    assert values_of("learned_variance_drops", results, n="low") == [5.0]
    assert values_of("learned_variance_growth", results, n="low") == [20.0]
    assert values_of("learned_variance_residual", results, n="low") == [0.9]
    # A diverged run makes the seed's number unknown; it is no proof of a quiet curve.
    broken = [p | {"test_elbo": None} if p["folder"] == "1" and p["epoch"] > 3 else p  # type: ignore[operator]
              for p in history]  # fmt: skip
    for name in ("learned_variance_drops", "learned_variance_growth"):
        assert np.isnan(values_of(name, made(rows, broken), n="low")).all()
    half = made([rows[0] | {"test_mse": None}, rows[1]], history)
    assert np.isnan(values_of("learned_variance_residual", half, n="low")).all()


def quality(kids: dict[tuple[str, float | None, int], float], n: int = 2) -> list[dict[str, Any]]:
    """Rows with a KID for each (kind, value, seed)."""
    kinds: dict[str, dict[str, Any]] = {
        "bernoulli": {"experiment": "posterior_variance", "objective": "bilbo"},
        "unit": {"experiment": "gaussian_scale", "likelihood": "gaussian"},
        "baggins": {"experiment": "baggins_scale"},
        "information": {"experiment": "baggins_information"},
    }
    axes = {"unit": "data_scale", "baggins": "data_scale", "information": "tau"}
    return [
        kinds[kind]
        | ({axes[kind]: value} if kind in axes else {})
        | {"seed": seed, "latent_dim": n, "folder": f"{kind} {value} {seed} {n}",
           "sample_kid": kid, "floor_kid": 1e-3}
        for (kind, value, seed), kid in kids.items()
    ]  # fmt: skip


def test_statistics_of_sample_quality() -> None:
    e = np.e
    kids: dict[tuple[str, float | None, int], float] = {}
    for seed in (0, 1):
        kids |= {("bernoulli", None, seed): 1.0}
        kids |= {("unit", scale, seed): e**k for scale, k in ((0.1, 4), (1.0, 2), (10.0, 3))}
        kids |= {("baggins", scale, seed): e**k for scale, k in ((0.1, 1), (1.0, 1.5))}
        kids |= {("information", tau, seed): e**k for tau, k in ((0.2, 1.0), (1.0, 1.5))}
    results = made(quality(kids))
    for scale, expected in (("smallest", 2.0), ("largest", 1.0)):
        found = values_of("kid_at_extreme_scale", results, n="low", scale=scale)
        assert found == pytest.approx([expected] * 2)
    changes = parts_of("scale_changes_kid", results, n="low")
    assert changes == {"data_scale 0.1": pytest.approx([-0.5] * 2)}
    # Over the scales that both have, 0.1 and 1.
    assert values_of("kid_range_difference", results, n="low") == pytest.approx([1.5, 1.5])
    variants = parts_of("gaussian_minus_bernoulli", results, n="low")
    assert variants["BAGGINS, tau 0.2"] == pytest.approx([1.0] * 2)
    assert variants["T = I, data_scale 10"] == pytest.approx([3.0] * 2)
    assert len(variants) == 5
    regret = parts_of("regret_of_tau", results, n="low", tau=1.0)
    assert regret == {"tau 0.2": pytest.approx([0.5] * 2)}
    tuned = values_of("best_unit_variance_minus_baggins", results, n="low", tau=0.2)
    assert tuned == pytest.approx([1.0] * 2)
    # At high n all Gaussian samples are worse by a factor of e, and T = I has a wider range.
    high = {k: v * (e if k[0] != "bernoulli" else 1) for k, v in kids.items()}
    high = {k: v * (e if k[:2] == ("unit", 0.1) else 1) for k, v in high.items()}
    both = made(quality(kids) + quality(high, 20))
    for name in ("gaussian_minus_bernoulli_high_minus_low", "kid_range_high_minus_low"):
        assert values_of(name, both) == pytest.approx([1.0] * 2)


def test_a_kid_below_that_of_training_images_is_taken_at_the_floor() -> None:
    kids: dict[tuple[str, float | None, int], float] = {
        ("unit", 1.0, 0): -0.5, ("unit", 10.0, 0): 1e-3 * np.e, ("unit", 0.1, 0): 1e-3,
    }  # fmt: skip
    arguments = {"n": "low", "scale": "largest"}
    assert values_of("kid_at_extreme_scale", made(quality(kids)), **arguments) == pytest.approx([1])
    diverged = made(quality(kids | {("unit", 10.0, 0): float("nan")}))
    assert np.isnan(values_of("kid_at_extreme_scale", diverged, **arguments)).all()


def test_one_diverged_seed_makes_no_claim_reproduced() -> None:
    kids: dict[tuple[str, float | None, int], float] = {
        ("information", tau, seed): 2.0 + tau + 0.01 * seed
        for tau in (0.2, 1.0)
        for seed in range(4)
    }
    margin = claim(below=0.41, statistic="regret_of_tau", arguments={"n": "low", "tau": 0.2})
    assert judge_claim(made(quality(kids)), margin).verdict == Verdict.REPRODUCED
    diverged = made(quality(kids | {("information", 0.2, 3): float("nan")}))
    assert judge_claim(diverged, margin).verdict == Verdict.INCONCLUSIVE


def clusters(
    radius: float, radial: float, tangential: float, seed: int = 0
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.uint8]]]:
    """Ten clusters on a circle, with deviations along and across the radius."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(10, dtype=np.uint8), 200)
    angle = 2 * np.pi * labels / 10
    out = np.stack([np.cos(angle), np.sin(angle)], 1)
    across = np.stack([-out[:, 1], out[:, 0]], 1)
    r, t = generator.standard_normal((2, 2000, 1))
    return out * (radius + radial * r) + tangential * t * across, labels


def test_measures_of_codes() -> None:
    tight, labels = clusters(10, 0.5, 0.5)
    loose, _ = clusters(10, 4, 4)
    assert codes.label_share(tight, labels) > 0.98
    assert codes.label_share(loose, labels) < 0.9
    # No scale, shift or rotation matters.
    turned = 7 * tight @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 3
    assert codes.label_share(turned, labels) == pytest.approx(codes.label_share(tight, labels))
    assert codes.radial_spread(*clusters(10, 2, 0.5)) == pytest.approx(np.log(4), abs=0.1)
    assert codes.radial_spread(*clusters(10, 0.5, 2)) == pytest.approx(-np.log(4), abs=0.2)
    assert codes.label_gap(*clusters(10, 0.5, 0.5)) > codes.label_gap(*clusters(4, 0.5, 0.5))
    generator = np.random.default_rng(0)
    even = generator.standard_normal((2000, 2))
    pinched = even * np.exp(generator.standard_normal((2000, 1)))
    assert codes.median_radius(pinched, labels) < 0.7 * codes.median_radius(even, labels)


def test_statistics_of_codes_find_what_was_put_in() -> None:
    arrays: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for scale in (0.1, 1.0, 10.0):
        for seed in (0, 1):
            points, labels = clusters(10, 2.0 * scale**0.25, 2.0, seed)
            folder = f"{scale} {seed}"
            collapsed = scale == 0.1
            arrays[folder] = {
                "posterior_mean": 1e-6 * points if collapsed else points,
                "labels": labels, "posterior_std": np.ones((1, 1)),
            }  # fmt: skip
            rows.append({"experiment": "gaussian_scale", "likelihood": "gaussian", "seed": seed,
                         "data_scale": scale, "folder": folder,
                         "test_active_units": 0 if collapsed else 2})  # fmt: skip
    # A quarter of a power of ten along the radius for each decade; the collapsed runs say nothing.
    slopes = values_of("radial_slope", made(rows, arrays=arrays))
    assert slopes == pytest.approx([0.25 * np.log(10)] * 2, abs=0.1)
    with pytest.raises(NotRun, match="collapsed"):
        compute("radial_slope", made(rows[:4], arrays=arrays), {})
    broken: dict[str, Any] = {"status": "diverged", "test_active_units": None}
    rows[-1] |= broken
    assert np.isnan(values_of("radial_slope", made(rows, arrays=arrays))).tolist() == [False, True]
    shares = [r | {"experiment": "constant_variance", "posterior_std": r["data_scale"]}
              for r in rows[2:]]  # fmt: skip
    changed = parts_of("std_changes_label_share", made(shares, arrays=arrays))
    assert np.isnan(changed["posterior_std 10"]).tolist() == [False, True]


def test_the_u_of_figure_3_is_found_and_told_from_none() -> None:
    generator = np.random.default_rng(0)
    mean = generator.standard_normal((3000, 2))
    noise = 0.1 * generator.standard_normal((3000, 2))
    shapes = {"u": 0.4 * mean**2 + noise, "flat": noise, "other": 0.4 * mean[:, ::-1] ** 2 + noise}
    arrays = {
        name: {"posterior_mean": mean, "posterior_std": np.exp(log_variance / 2)}
        for name, log_variance in shapes.items()
    }
    found = {}
    for name in shapes:
        row = {"experiment": "posterior_variance", "objective": "learned", "seed": 0}
        results = made([row | {"folder": name}], arrays=arrays)
        found[name] = [
            values_of(statistic, results)[0]
            for statistic in ("variance_curvature", "variance_explained_by_other")
        ]
        for status, means in (("diverged", mean), ("completed", 0 * mean)):
            arrays["broken"] = {"posterior_mean": means, "posterior_std": np.exp(mean)}
            broken = made([row | {"folder": "broken", "status": status}], arrays=arrays)
            assert np.isnan(values_of("variance_curvature", broken)).all()
    assert found["u"] == pytest.approx([0.4, 0.0], abs=0.02)
    assert found["flat"] == pytest.approx([0.0, 0.0], abs=0.02)
    assert found["other"][1] > 0.9


def faces() -> Watched:
    """Two seeds of the standard ELBO and of BILBO at three stds, which differ by what is known."""
    rows: list[dict[str, Any]] = []
    arrays = {}
    for seed in (0, 1):
        base = {"experiment": "celeba", "seed": seed, "latent_dim": 16, "dataset": "faces"}
        level = 1000.0 * seed
        learned = {"objective": "learned", "folder": f"learned/{seed}", "posterior_std": None}
        bounds = {"test_elbo": level, "train_objective": level, "fitted_prior_trace": 14.0}
        rows.append(base | learned | bounds)
        arrays[f"learned/{seed}"] = {
            "variation_reconstructions": np.float32(0.04),
            "variation_standard": np.float32(0.04 * math.exp(-0.5 - seed)),
            "variation_fitted": np.float32(0.04 * math.exp(0.25)),
        }
        for std in (1.0, 0.1, 0.01):
            more = {"objective": "bilbo", "folder": f"{std}/{seed}", "posterior_std": std}
            bounds = {
                "test_elbo": level + 100 * std, "train_objective": level - 10 * std,
                "fitted_prior_trace": 20_000.0 * (1 + seed) * std**2 * (2.0 if std == 0.01 else 1),
            }  # fmt: skip
            rows.append(base | more | bounds)
    return made(rows, arrays=arrays)


def test_faces_are_compared_with_the_standard_elbo_at_the_same_seed() -> None:
    bounds = values_of("faces_bound_difference", faces(), posterior_std=0.1)
    assert bounds == pytest.approx([10, 10])
    assert values_of("faces_loss_difference", faces(), posterior_std=1.0) == pytest.approx(
        [-10, -10]
    )
    with pytest.raises(NotRun, match="'celeba' has no runs with objective bilbo, posterior_std 3"):
        values_of("faces_bound_difference", faces(), posterior_std=3.0)


def test_variation_is_that_of_samples_over_that_of_reconstructions() -> None:
    results = faces()
    assert values_of("standard_prior_variation", results) == pytest.approx([-0.5, -1.5])
    assert values_of("fitted_prior_is_closer", results) == pytest.approx([0.25, 1.25])
    results.runs.loc[results.runs["folder"] == "learned/1", "status"] = "diverged"
    assert math.isnan(values_of("standard_prior_variation", results)[1])


def test_the_trace_of_the_prior_is_compared_in_logs() -> None:
    results = faces()
    traces = values_of("prior_trace", results, posterior_std=1.0, printed=20_000.0)
    assert traces == pytest.approx([0, math.log(2)])
    assert values_of("prior_trace_follows_std", results, posterior_std=0.1) == pytest.approx([0, 0])
    twice = values_of("prior_trace_follows_std", results, posterior_std=0.01)
    assert twice == pytest.approx([math.log(2), math.log(2)])
