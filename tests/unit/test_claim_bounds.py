"""Statistics of bounds at the end of training and during it, on runs whose answer is known."""

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.made_results import PAPER, made, parts_of, values_of, verdict_of
from vaebench.claims.jackknife import fisher_z, log_std, pseudo_values
from vaebench.claims.paper import load_paper_values
from vaebench.claims.registry import compute
from vaebench.claims.select import NotRun, Watched

Bounds = Mapping[str, Sequence[float]]
NOISE = [0.1, -0.2, 0.15, -0.05]
"""What differs between the seeds of a method."""


def runs(test: Bounds, train: Bounds | None = None, n: int = 2) -> Watched:
    """Runs of objectives with these final bounds, one a seed; seeds differ by tens of nats."""
    rows = []
    for objective, bounds in test.items():
        for seed, bound in enumerate(bounds):
            level = -100.0 - 10 * seed
            more = (train or test)[objective][seed]
            rows.append(
                {"experiment": "posterior_variance", "objective": objective, "seed": seed,
                 "latent_dim": n, "test_elbo": level + bound, "train_elbo": level + more}
            )  # fmt: skip
    return made(rows)


def lead(size: float) -> list[float]:
    return [size + noise for noise in NOISE]


@pytest.mark.parametrize(("n", "suffix"), [(2, ""), (20, "-high")])
@pytest.mark.parametrize(("size", "verdict"), [(-0.2, "reproduced"), (-2.0, "differs"),
                                               (-0.95, "inconclusive")])  # fmt: skip
def test_no_detriment_is_non_inferiority_by_a_nat(
    n: int, suffix: str, size: float, verdict: str
) -> None:
    results = runs({"learned": [0.0] * 4, "constant": lead(size), "bilbo": lead(size)}, n=n)
    for form in ("constant", "bilbo", "both-forms"):
        assert verdict_of(f"section43-no-detriment-{form}{suffix}", results) == verdict
    # What is no detriment need not be a lead.
    assert verdict_of(f"fig04{'a' if n == 2 else 'b'}-both-forms", results) != "reproduced"
    ahead = runs({"learned": [0.0] * 4, "constant": lead(0.5), "bilbo": lead(0.7)}, n=n)
    assert verdict_of(f"fig04{'a' if n == 2 else 'b'}-both-forms", ahead) == "reproduced"


def test_both_forms_count_as_one_at_the_seeds_that_all_have() -> None:
    results = runs({"learned": [0.0] * 4, "constant": [1, 2, 3, 4], "bilbo": [3, 4, 9]})
    found = values_of("constant_forms_minus_learned", results, n="low")
    assert found == pytest.approx([2, 3, 6])
    broken = runs({"learned": [0.0] * 3, "constant": [1, 2, 3], "bilbo": [3, np.nan, 9]})
    assert np.isnan(values_of("constant_forms_minus_learned", broken, n="low")).tolist() == [
        False, True, False,
    ]  # fmt: skip


def test_the_lead_on_the_training_set_and_the_gap_between_the_sets() -> None:
    """BILBO leads on the test set by not overfitting, and by nothing on the training set."""
    test = {"learned": [0.0] * 4, "bilbo": lead(2.0), "constant": lead(2.0)}
    train = {"learned": [5.0] * 4, "bilbo": lead(5.0)[::-1], "constant": lead(7.0)}
    results = runs(test, train)
    arguments = {"of": "bilbo", "minus": "learned", "n": "low"}
    found = values_of("training_bound_difference", results, **arguments)
    assert found == pytest.approx(NOISE[::-1])
    gaps = values_of("train_test_gap_difference", results, **arguments)
    assert gaps == pytest.approx([-2 + b - a for a, b in zip(NOISE, NOISE[::-1], strict=True)])
    assert verdict_of("fig04a-bilbo", results) == "reproduced"
    assert verdict_of("beside-fig04a-bilbo-training", results) == "inconclusive"
    assert verdict_of("beside-fig04a-bilbo-gap", results) == "differs"
    # The constant variance leads on both sets alike.
    assert verdict_of("beside-fig04a-constant-training", results) == "reproduced"
    alike = values_of("train_test_gap_difference", results, of="constant", minus="learned", n="low")
    assert alike == pytest.approx([0.0] * 4)


def curves(slopes: Mapping[str, Sequence[float]], epochs: Sequence[int]) -> Watched:
    """Curves that fall from a lead at the first epoch to none at the last."""
    rows: list[dict[str, Any]] = []
    history = []
    for objective, leads in slopes.items():
        for seed, size in enumerate(leads):
            folder = f"{objective} {seed}"
            rows.append({"experiment": "posterior_variance", "objective": objective,
                         "seed": seed, "folder": folder, "test_elbo": 0.0})  # fmt: skip
            history += [
                {"experiment": "posterior_variance", "folder": folder, "epoch": epoch,
                 "test_elbo": -10.0 * seed + size * (epochs[-1] - epoch) / (epochs[-1] - 1)}
                for epoch in epochs
            ]  # fmt: skip
    return made(rows, history)


def test_a_lead_during_training_is_weighted_by_epochs() -> None:
    arguments: dict[str, object] = {"of": "bilbo", "minus": "learned", "n": "low"}
    leads = {"learned": [0.0] * 4, "bilbo": [4.0, 4.1, 3.9, 4.0]}
    # A straight fall from 4 to 0 is 2 on average, however unevenly it is recorded.
    for epochs in ([1, 2, 3, 4, 5, 21], [1, 11, 21]):
        found = values_of("mean_lead", curves(leads, epochs), **arguments)
        assert found == pytest.approx([2.0, 2.05, 1.95, 2.0])
    assert verdict_of("fig04a-bilbo-lag", curves(leads, [1, 11, 21])) == "reproduced"
    behind = {"learned": leads["bilbo"], "bilbo": leads["learned"]}
    assert verdict_of("fig04a-bilbo-lag", curves(behind, [1, 11, 21])) == "differs"
    with pytest.raises(NotRun, match="no curve"):
        compute("mean_lead", in_steps(curves(leads, [1, 2])), arguments)
    broken = curves(leads, [1, 11, 21])
    broken.history.loc[broken.history["folder"] == "bilbo 1", "test_elbo"] = None
    assert np.isnan(values_of("mean_lead", broken, **arguments)).tolist() == [
        False, True, False, False,
    ]  # fmt: skip


def in_steps(results: Watched) -> Watched:
    """The same, with training counted in steps."""
    results.history["epoch"] = np.nan
    return results


def learned_and_unit(learned: Sequence[float], unit: Sequence[float]) -> Watched:
    """A fall of the bound by these amounts, one a seed, at two data scales."""
    rows, history = [], []
    for likelihood, falls in (("gaussian-learned", learned), ("gaussian", unit)):
        for seed, fall in enumerate(falls):
            for scale in (1.0, 10.0):
                folder = f"{likelihood} {scale} {seed}"
                rows.append(
                    {"experiment": "gaussian_scale", "likelihood": likelihood, "seed": seed,
                     "data_scale": scale, "folder": folder, "test_mse": 0.9,
                     "test_mean_image_mse": 1.0}
                )  # fmt: skip
                curve = [0, 100, 100 - scale * fall, 300, 400, 500]
                history += [
                    {"experiment": "gaussian_scale", "folder": folder, "epoch": k, "test_elbo": b}
                    for k, b in enumerate(curve)
                ]
    return made(rows, history)


def test_a_bound_fluctuates_if_it_falls_by_more_than_under_unit_variance() -> None:
    results = learned_and_unit([30, 31, 32], [1, 2, 1])
    parts = parts_of("learned_variance_drops", results, n="low")
    assert parts == {
        f"data_scale {scale}": pytest.approx(
            [
                log((1 + scale * learned) / (1 + scale * unit))
                for learned, unit in ((30, 1), (31, 2), (32, 1))
            ]
        )
        for scale in (1, 10)
    }
    # By orders of magnitude, more or less wild runs leave no doubt.
    wild = learned_and_unit([3000, 900, 10_000], [0.01, 0.02, 0.01])
    assert verdict_of("fig06a-fluctuates-low", wild) == "reproduced"
    assert verdict_of("fig06a-fluctuates-low", learned_and_unit([5, 6, 5], [1, 1.1, 1])) == (
        "differs"
    )
    # T = I that falls as much says that fluctuation is not of learned T.
    same = learned_and_unit([30, 31, 32], [30, 30, 33])
    assert verdict_of("fig06a-fluctuates-low", same) in ("differs", "inconclusive")
    assert verdict_of("fig06a-fluctuates-low", learned_and_unit([30, 31, 32], [60, 62, 61])) == (
        "differs"
    )
    # The bounds of epochs 3 to 5 have a deviation of 100 nats, falling or rising.
    assert values_of("learned_variance_spread", results, n="low") == pytest.approx([2.0] * 3)
    results.history["test_elbo"] *= -1
    assert values_of("learned_variance_spread", results, n="low") == pytest.approx([2.0] * 3)
    assert verdict_of("fig06a-no-convergence-low", results) == "inconclusive"  # all the same
    results.history["test_elbo"] = 1.0
    assert values_of("learned_variance_spread", results, n="low") == [-6.0] * 3
    assert values_of("learned_variance_residual", results, n="low") == pytest.approx([0.9] * 3)


def test_a_mean_over_scales_is_of_seeds_that_have_all_of_them() -> None:
    results = learned_and_unit([30, 31, 32], [1, 2, 1])
    rows = results.runs
    rows.loc[rows["data_scale"] == 10.0, "test_mse"] = 0.5
    lacks = (rows["data_scale"] == 10.0) & (rows["seed"] == 0)
    part = made(rows[~lacks].to_dict("records"))  # type: ignore[arg-type]
    found = parts_of("learned_variance_residual", part, n="low")
    assert found == {"data_scale 1, 10": pytest.approx([0.7, 0.7])}
    one = made(rows[rows["data_scale"] == 1.0].to_dict("records"))  # type: ignore[arg-type]
    found = parts_of("learned_variance_residual", one, n="low")
    assert found == {"data_scale 1": pytest.approx([0.9] * 3)}


def test_a_diverged_run_is_no_proof_of_a_quiet_curve() -> None:
    broken = learned_and_unit([30, 31], [1, 2])
    late = (broken.history["folder"] == "gaussian-learned 1.0 0") & (broken.history["epoch"] > 3)
    broken.history.loc[late, "test_elbo"] = None
    parts = parts_of("learned_variance_drops", broken, n="low")
    assert np.isnan(parts["data_scale 1"]).tolist() == [True, False]
    assert np.isnan(values_of("learned_variance_spread", broken, n="low")).tolist() == [True, False]
    broken.runs.loc[broken.runs["folder"] == "gaussian-learned 1.0 0", "test_mse"] = None
    found = values_of("learned_variance_residual", broken, n="low")
    assert np.isnan(found).tolist() == [True, False]


def against_shared(leads: Sequence[float], n: int) -> Watched:
    rows = []
    for seed, size in enumerate(leads):
        common = {"seed": seed, "latent_dim": n}
        shared = {"experiment": "shared_variance", "likelihood": "gaussian-shared",
                  "objective": "learned", "test_elbo_data_units": 700.0 + seed}  # fmt: skip
        rows.append(common | shared)
        rows += [
            common | {"experiment": "baggins_information", "likelihood": "baggins", "tau": tau,
                      "objective": "bilbo", "test_elbo_data_units": 700.0 + seed + size * tau}
            for tau in (0.2, 1.0)
        ]  # fmt: skip
    return made(rows)


@pytest.mark.parametrize(("n", "name"), [(2, "abstract-improved-bound"),
                                         (20, "abstract-improved-bound-high")])  # fmt: skip
def test_baggins_is_compared_with_one_learned_variance(n: int, name: str) -> None:
    results = against_shared([10.0, 11.0, 12.0], n)
    found = values_of("baggins_minus_shared", results, n="low" if n == 2 else "high", tau=0.2)
    assert found == pytest.approx([2.0, 2.2, 2.4])
    assert verdict_of(name, results) == "reproduced"
    assert verdict_of(name, against_shared([-10.0, -11.0, -12.0], n)) == "differs"


def test_the_jackknife_of_a_mean_is_the_mean_and_of_a_log_std_is_near_it() -> None:
    generator = np.random.default_rng(0)
    sample = generator.standard_normal(40)
    assert pseudo_values(sample, lambda x: float(x.mean())) == pytest.approx(sample.tolist())
    # By hand: N log s - (N - 1) log s without the seed.
    found = pseudo_values(sample, log_std)
    without = [np.log(np.std([*sample[:k], *sample[k + 1 :]], ddof=1)) for k in range(40)]
    whole = np.log(np.std(sample, ddof=1))
    assert found == pytest.approx([40 * whole - 39 * w for w in without])
    assert np.mean(found) == pytest.approx(whole, abs=0.05)
    pairs = generator.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 40)
    expected = np.arctanh(stats.pearsonr(pairs[:, 0], pairs[:, 1]).statistic)
    assert fisher_z(pairs) == pytest.approx(expected)
    assert np.isnan(pseudo_values(np.array([1.0, np.nan, 2.0]), log_std)).all()


def spread(std: float, seeds: int = 20) -> Watched:
    """Seeds with exactly this standard deviation."""
    sample = np.random.default_rng(1).standard_normal(seeds)
    sample *= std / sample.std(ddof=1)
    rows = [
        {"experiment": "posterior_variance", "objective": "learned", "seed": k, "test_elbo": v}
        for k, v in enumerate(-135 + sample)
    ]
    return made(rows)


def test_the_spread_over_seeds_is_compared_with_that_of_the_papers_runs() -> None:
    paper = load_paper_values(PAPER)
    printed = next(entry.values for entry in paper.numbers if entry.id == "fig02-bound")
    (own,) = (entry for entry in paper.claims if entry.id == "fig02-comparable")
    reference = own.arguments["reference"]
    assert reference == pytest.approx(np.std(printed, ddof=1), abs=5e-5)
    found = values_of("log_spread", spread(2.0), objective="learned", n="low", reference=reference)
    assert np.mean(found) == pytest.approx(np.log(2.0 / 1.0817), abs=0.1)
    assert len(found) == 20
    assert verdict_of("fig02-comparable", spread(0.4)) == "reproduced"
    assert verdict_of("fig02-comparable", spread(1.08)) == "inconclusive"
    assert verdict_of("fig02-comparable", spread(3.0)) == "differs"
    assert verdict_of("fig02-comparable", spread(0.4, seeds=2)) == "not run"
