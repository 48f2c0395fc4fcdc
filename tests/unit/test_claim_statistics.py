"""The statistics behind the claims, on runs whose answer is known."""

import math
from typing import Any

import numpy as np
import pytest

from tests.conftest import PROJECT
from tests.made_results import claim, made, parts_of, values_of, verdict_of
from vaebench.claims import codes
from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import judge_claim
from vaebench.claims.needs import FACES, RATIOS
from vaebench.claims.registry import compute
from vaebench.claims.select import NotRun, Watched
from vaebench.experiment.needs import find
from vaebench.experiment.tier import load_tier


def quality(kids: dict[tuple[str, float | None, int], float], n: int = 2) -> list[dict[str, Any]]:
    """Rows with a KID for each (kind, value, seed)."""
    kinds: dict[str, dict[str, Any]] = {
        "bernoulli": {"experiment": "posterior_variance", "objective": "bilbo"},
        "unit": {"experiment": "gaussian_scale", "likelihood": "gaussian"},
        "baggins": {"experiment": "baggins_scale", "likelihood": "baggins"},
        "information": {"experiment": "baggins_information", "likelihood": "baggins"},
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


def test_an_extreme_scale_that_is_the_best_is_compared_with_the_next() -> None:
    e = np.e
    kids: dict[tuple[str, float | None, int], float] = {
        ("unit", scale, seed): e ** (k + 0.1 * seed * scale)
        for scale, k in ((0.1, 4.0), (1.0, 2.0), (10.0, 0.0))
        for seed in (0, 1)
    }
    found = values_of("kid_at_extreme_scale", made(quality(kids)), n="low", scale="largest")
    assert found == pytest.approx([-2.0, -1.1])


def test_one_diverged_seed_makes_no_claim_reproduced() -> None:
    kids: dict[tuple[str, float | None, int], float] = {
        ("information", tau, seed): 2.0 + abs(tau - 0.2) + 0.01 * seed * tau
        for tau in (0.05, 0.2, 1.0, 2.0)
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
    generator = np.random.default_rng(0)
    even = generator.standard_normal((2000, 2))
    # Wide gaps leave much of the area empty; neither scale nor rotation matters.
    empty = codes.empty_share(tight, labels)
    assert empty > 0.7
    assert codes.empty_share(turned, labels) == pytest.approx(empty, abs=0.02)
    assert empty > codes.empty_share(*clusters(4, 0.5, 0.5)) > codes.empty_share(even, labels)
    disc = np.sqrt(generator.uniform(size=(20_000, 1))) * even.repeat(10, 0)
    disc /= np.linalg.norm(even, axis=1).repeat(10)[:, None]
    strip = disc[np.abs(disc[:, 0]) > 0.15]
    assert codes.empty_share(disc, labels) < 0.01
    # Of the diameter of about 1.9 radii, 0.3 less twice `NEAR` of half a radius are empty.
    assert 0.05 < codes.empty_share(strip, labels) < 0.2
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
    # Fig. 8's wide stds are not Fig. 9's, and a run that is missing has not diverged.
    wide = [r | {"posterior_std": 100.0} for r in shares[2:]]
    assert parts_of("std_changes_label_share", made([*shares[:3], *wide], arrays=arrays)) == {
        "posterior_std 10": changed["posterior_std 10"][:1]
    }


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


def fig_3(slope: float) -> Watched:
    """Runs whose variance rises with the mean of the other dimension, and is a U over its own."""
    arrays, rows = {}, []
    for seed in range(4):
        generator = np.random.default_rng(seed)
        mean, noise = generator.standard_normal((2, 3000, 2))
        sign = (-1) ** seed
        variance = np.exp(0.2 * mean**2 + sign * slope * mean[:, ::-1] + 0.3 * noise)
        arrays[str(seed)] = {"posterior_mean": mean, "posterior_std": np.sqrt(variance)}
        rows.append({"experiment": "posterior_variance", "objective": "learned", "seed": seed})
    return made(rows, arrays=arrays)


def test_a_correlation_with_the_other_dimension_has_no_sign() -> None:
    none, strong = fig_3(0.0), fig_3(0.5)
    assert max(values_of("variance_correlation_with_other", none)) < 0.05
    found = values_of("variance_correlation_with_other", strong)
    for seed, value in enumerate(found):
        arrays = strong.arrays({"folder": str(seed)})
        mean, variance = arrays["posterior_mean"], arrays["posterior_std"] ** 2
        rs = [np.corrcoef(mean[:, 1 - j], variance[:, j])[0, 1] for j in (0, 1)]
        assert value == pytest.approx(np.mean(np.abs(rs)))
        assert np.sign(rs).tolist() == [(-1) ** seed] * 2
    for name in ("fig03-other-dimension", "fig03-other-dimension-parabola"):
        assert verdict_of(name, none) == "reproduced"
        assert verdict_of(name, strong) == "differs"


def faces() -> Watched:
    """Two seeds of the standard ELBO and of BILBO at three stds, which differ by what is known."""
    rows: list[dict[str, Any]] = []
    arrays = {}
    for seed in (0, 1):
        base = {"experiment": "celeba", "seed": seed, "latent_dim": 16, "dataset": "faces",
                "likelihood": "gaussian-coordinate", "network": "conv"}  # fmt: skip
        level = 1000.0 * seed
        learned = {"objective": "learned", "folder": f"learned/{seed}", "posterior_std": None}
        error = 0.01 * (1 + seed)
        bounds = {"test_elbo": level, "train_objective": level, "fitted_prior_trace": 14.0,
                  "test_mse": error}  # fmt: skip
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
                "test_mse": error * math.exp((0.1 if std == 0.1 else 0.5) + 0.01 * seed),
            }  # fmt: skip
            variation = 0.04 * math.exp(0.25 + 0.01 * seed + (1.0 if std == 1.0 else 0.1))
            arrays[f"{std}/{seed}"] = {
                f"variation_{name}": np.float32(variation)
                for name in ("reconstructions", "standard", "fitted")
            }
            rows.append(base | more | bounds)
            more = {"objective": "constant", "folder": f"{std}/constant/{seed}"}
            lower = {name: bounds[name] - 3 * seed for name in ("test_elbo", "train_objective")}
            rows.append(base | bounds | {"posterior_std": std} | more | lower)
    return made(rows, arrays=arrays)


def test_faces_are_compared_with_the_standard_elbo_at_the_same_seed() -> None:
    bounds = values_of("faces_bound_difference", faces(), posterior_std=0.1)
    assert bounds == pytest.approx([10, 10])
    assert values_of("faces_loss_difference", faces(), posterior_std=1.0) == pytest.approx(
        [-10, -10]
    )
    with pytest.raises(
        NotRun, match=r"'celeba' has no runs with .*, objective bilbo, posterior_std 3"
    ):
        values_of("faces_bound_difference", faces(), posterior_std=3.0)


def test_one_objective_in_two_forms_is_compared_at_the_same_std_and_seed() -> None:
    for name in ("faces_forms_bound", "faces_forms_loss"):
        assert values_of(name, faces(), posterior_std=0.1) == pytest.approx([0, 3])


def test_claims_on_constant_stds_take_none_of_celeba() -> None:
    tier = load_tier(PROJECT / "config" / "celeba-10k-numbers.yaml")
    assert find(RATIOS, tier.experiments) is None
    assert find(FACES, tier.experiments)


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


def test_reconstructions_and_samples_of_faces_are_compared_in_logs() -> None:
    results = faces()
    errors = values_of("faces_error_ratio", results, posterior_std=0.1)
    assert errors == pytest.approx([0.1, 0.11])
    variation = values_of("faces_samples_variation", results, posterior_std=0.1)
    assert variation == pytest.approx([0.1, 0.11], abs=1e-5)
    exaggerated = values_of("unit_std_exaggerates", results, posterior_std=0.01)
    assert exaggerated == pytest.approx([0.9, 0.9], abs=1e-5)
    assert verdict_of("fig16-reconstructions-tenth", results) == "reproduced"
    assert verdict_of("fig16-reconstructions-unit", results) == "differs"
    assert verdict_of("fig17-samples-tenth", results) == "reproduced"
    assert verdict_of("fig17-exaggerated-tenth", results) == "reproduced"
    results.made["0.1/1"]["variation_fitted"] = np.float32(1.0)  # type: ignore[attr-defined]
    assert verdict_of("fig17-samples-tenth", results) == "inconclusive"
    results.made["0.1/0"]["variation_fitted"] = np.float32(1.01)  # type: ignore[attr-defined]
    assert verdict_of("fig17-samples-tenth", results) == "differs"
    assert verdict_of("fig17-exaggerated-tenth", results) == "differs"
    results.runs.loc[results.runs["folder"] == "0.1/1", "status"] = "diverged"
    assert math.isnan(values_of("faces_samples_variation", results, posterior_std=0.1)[1])
