"""Statistics of active units, fitted priors and outputs, and spectra, on known runs and data."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.made_results import TIER, made, parts_of, values_of, verdict_of
from vaebench.claims.registry import compute
from vaebench.claims.select import NotRun, Watched
from vaebench.claims.spectra import LARGEST, load_spectra, spectrum, write_spectra
from vaebench.claims.units import predicted_units
from vaebench.data.prepared import Arrays
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.paths import SPECTRA


def of_objectives(
    units: Mapping[str, Iterable[float]], bounds: Sequence[float] | None = None
) -> Watched:
    rows = [
        {"experiment": "posterior_variance", "objective": objective, "seed": seed,
         "latent_dim": 20, "test_active_units": count,
         "test_elbo": -100.0 if bounds is None else bounds[seed]}
        for objective, counts in units.items()
        for seed, count in enumerate(counts)
    ]  # fmt: skip
    return made(rows)


def test_active_units_are_compared_at_the_same_seed() -> None:
    more = of_objectives({"learned": [9, 10, 9, 12], "bilbo": [11, 12, 12, 14]})
    arguments = {"of": "bilbo", "minus": "learned", "n": "high"}
    assert values_of("active_units_difference", more, **arguments) == [2, 2, 3, 2]
    assert verdict_of("beside-fig04b-bilbo-units", more) == "reproduced"
    fewer = of_objectives({"learned": [11, 12, 12, 14], "bilbo": [9, 10, 9, 12]})
    assert verdict_of("beside-fig04b-bilbo-units", fewer) == "differs"


def test_bounds_go_with_active_units_or_do_not() -> None:
    generator = np.random.default_rng(0)
    units = generator.integers(5, 15, 20).astype(float)
    noise = generator.standard_normal(20)
    arguments: dict[str, object] = {"objective": "learned", "n": "high"}
    rises = of_objectives({"learned": units}, (-100 + 0.5 * units + 0.3 * noise).tolist())
    found = values_of("bound_on_active_units", rises, **arguments)
    correlation = np.corrcoef(units, rises.runs["test_elbo"])[0, 1]
    assert np.mean(found) == pytest.approx(np.arctanh(correlation), abs=0.15)
    assert verdict_of("beside-fig04b-bound-units", rises) == "reproduced"
    falls = of_objectives({"learned": units}, (-100 - 0.5 * units + 0.3 * noise).tolist())
    assert verdict_of("beside-fig04b-bound-units", falls) == "differs"
    neither = of_objectives({"learned": units}, (-100 + 0.3 * noise).tolist())
    assert verdict_of("beside-fig04b-bound-units", neither) == "inconclusive"
    with pytest.raises(NotRun, match="fewer than 5 seeds"):
        compute("bound_on_active_units", of_objectives({"learned": units[:4]}), arguments)
    same = of_objectives({"learned": [7] * 6 + [8]}, noise[:7].tolist())
    with pytest.raises(NotRun, match="same number of active units"):
        compute("bound_on_active_units", same, arguments)
    diverged = of_objectives({"learned": [*units[:6], np.nan]}, noise[:7].tolist())
    assert np.isnan(values_of("bound_on_active_units", diverged, **arguments)).all()


def collapsing(counts: Mapping[float, Sequence[float]], n: int, dataset: str = "mnist") -> Watched:
    """T = I at several data scales, with these active units, one a seed."""
    return made(
        [
            {"experiment": "gaussian_scale", "likelihood": "gaussian", "data_scale": scale,
             "seed": seed, "latent_dim": n, "test_active_units": count, "dataset": dataset}
            for scale, units in counts.items()
            for seed, count in enumerate(units)
        ]
    )  # fmt: skip


def test_what_collapses_is_predicted_from_the_spectrum() -> None:
    scales = (0.1, 0.3, 1.0, 3.0, 10.0)
    assert [predicted_units("mnist", 2, scale) for scale in scales] == [0, 0, 2, 2, 2]
    assert [predicted_units("mnist", 100, scale) for scale in scales] == [0, 0, 12, 65, 100]
    two = collapsing({0.1: [0, 1], 1.0: [2, 1]}, 2)
    off = parts_of("active_units_minus_predicted", two, n="low")
    assert off == {"data_scale 0.1": [0.0, 0.5], "data_scale 1": [0.0, -0.5]}
    # n = 20 is high in this tier: 0, 12 and 20 units are predicted.
    near = collapsing({0.3: [0, 1, 0], 1.0: [12, 11, 12], 10.0: [20, 19, 20]}, 20)
    assert verdict_of("section6-collapse-high", near) == "reproduced"
    far = collapsing({0.3: [0, 1, 0], 1.0: [20, 19, 20], 10.0: [20, 19, 20]}, 20)
    assert verdict_of("section6-collapse-high", far) == "differs"
    # Too few in use are no proof against collapse, only against the number that is predicted.
    few = collapsing({0.3: [0, 1, 0], 1.0: [3, 4, 3], 10.0: [20, 19, 20]}, 20)
    assert verdict_of("section6-collapse-high", few) == "reproduced"
    assert verdict_of("beside-section6-collapse-high", few) == "differs"
    assert verdict_of("beside-section6-collapse-high", near) == "reproduced"
    none = collapsing({0.3: [2, 2, 1, 2, 2, 2], 1.0: [2, 2, 2]}, 2)
    assert verdict_of("section6-collapse", none) == "differs"
    diverged = collapsing({0.3: [np.nan, 0], 1.0: [2, 2]}, 2)
    parts = parts_of("active_units_minus_predicted", diverged, n="low")
    assert np.isnan(parts["data_scale 0.3"]).tolist() == [True, False]


def test_a_spectrum_that_is_not_at_hand_decides_nothing() -> None:
    with pytest.raises(NotRun, match="lacks the spectrum of 'faces'"):
        compute("active_units_minus_predicted", collapsing({1.0: [1], 3.0: [1]}, 2, "faces"),
                {"n": "low"})  # fmt: skip
    with pytest.raises(NotRun, match="too few for n = 200"):
        predicted_units("mnist", 200, 10.0)
    assert predicted_units("mnist", 200, 1.0) == 12


def test_the_spectra_of_digits_are_those_of_the_data(digits: Arrays) -> None:
    kept = yaml.safe_load(SPECTRA.read_text())
    for name, entry in kept.items():
        assert entry["data"] == DATASETS[name].digest
        assert len(entry["eigenvalues"]) == LARGEST
    found = spectrum(digits.train_images)
    assert found == pytest.approx(load_spectra()["digits"], rel=2e-4)
    # By the singular values of the data instead of its covariance.
    pixels = digits.train_images.reshape(len(digits.train_images), -1) / 255
    singular = np.linalg.svd(pixels - pixels.mean(0), compute_uv=False)
    assert found == pytest.approx((singular**2 / len(pixels))[:LARGEST], rel=2e-3)


def test_the_file_of_spectra_is_made_again(data_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "spectra.yaml"
    write_spectra(["digits"], data_root / "prepared", path)
    assert load_spectra(path)["digits"] == pytest.approx(load_spectra()["digits"], rel=2e-4)
    head = SPECTRA.read_text().split("digits:")[0]
    assert path.read_text().startswith(head)
    with pytest.raises(UserError, match="cannot read"):
        load_spectra(tmp_path / "nothing.yaml")
    (tmp_path / "wrong.yaml").write_text("mnist: [1.0]\n")
    with pytest.raises(UserError, match="does not have `eigenvalues`"):
        load_spectra(tmp_path / "wrong.yaml")


def with_traces(traces: Sequence[float], units: Sequence[float], n: int) -> Watched:
    return made(
        [
            {"experiment": "posterior_variance", "objective": "learned", "seed": seed,
             "latent_dim": n, "fitted_prior_trace": trace, "test_active_units": units[seed]}
            for seed, trace in enumerate(traces)
        ]
    )  # fmt: skip


def test_the_prior_of_eq_4_is_the_given_one_in_active_dimensions() -> None:
    near = with_traces([20.1, 20.2, 19.9], [10, 10, 10], 20)
    found = values_of("fitted_prior_deviation", near, n="high")
    assert found == pytest.approx([0.01, 0.02, -0.01])
    assert verdict_of("eq4-trace-high", near) == "reproduced"
    # Half of the trace in two of twenty dimensions: over all of them it would be within 0.05.
    far = with_traces([20.9, 20.8, 20.9], [2, 2, 2], 20)
    assert verdict_of("eq4-trace-high", far) == "differs"
    assert verdict_of("eq4-trace", with_traces([2.02, 1.98, 2.01], [2, 2, 2], 2)) == "reproduced"
    assert verdict_of("eq4-trace", with_traces([2.5, 2.4, 2.5], [2, 2, 2], 2)) == "differs"
    with pytest.raises(NotRun, match="collapsed"):
        compute("fitted_prior_deviation", with_traces([2.0, 2.0], [0, 2], 2), {"n": "low"})


def with_codes(scales: Sequence[tuple[float, float]]) -> Watched:
    """Codes with these prior variances of Eq. 4 in two dimensions, for each seed."""
    arrays: dict[str, dict[str, Any]] = {}
    rows = []
    for seed, scale in enumerate(scales):
        generator = np.random.default_rng(seed)
        std = generator.uniform(0.1, 0.5, (5000, 2))
        mean = generator.standard_normal((5000, 2))
        # Scaled so that the mean of std^2 + mean^2 is exactly what is wanted.
        factor = np.sqrt(np.array(scale) / (std**2 + mean**2).mean(0))
        arrays[str(seed)] = {"posterior_mean": factor * mean, "posterior_std": factor * std}
        rows.append({"experiment": "posterior_variance", "objective": "learned", "seed": seed})
    return made(rows, arrays=arrays)


def test_a_wide_and_a_narrow_dimension_do_not_make_up_for_each_other() -> None:
    even = with_codes([(1.01, 0.99), (1.0, 1.02), (0.99, 1.0)])
    found = values_of("fitted_prior_of_worse_dimension", even)
    assert found == pytest.approx([0.01, 0.02, 0.01])
    assert verdict_of("eq4-dimensions", even) == "reproduced"
    uneven = with_codes([(1.2, 0.8), (1.22, 0.78), (1.21, 0.79)])
    assert verdict_of("eq4-dimensions", uneven) == "differs"
    uneven.runs.loc[0, "status"] = "diverged"
    assert np.isnan(values_of("fitted_prior_of_worse_dimension", uneven)).tolist() == [
        True, False, False,
    ]  # fmt: skip


def test_the_encoders_outputs_are_counted_and_not_typed() -> None:
    rows = [
        {"experiment": "posterior_variance", "objective": objective, "seed": seed, "latent_dim": n}
        for objective in ("learned", "constant", "bilbo")
        for seed in (0, 1)
        for n in (2, 20)
    ]
    results = made(rows)
    for n in ("low", "high"):
        half = values_of("encoder_outputs_ratio", results, of="bilbo", over="learned", n=n)
        assert half == pytest.approx([0.5, 0.5])
        same = values_of("encoder_outputs_ratio", results, of="bilbo", over="constant", n=n)
        assert same == pytest.approx([1.0, 1.0])
    assert verdict_of("abstract-half-outputs", results) == "reproduced"
    # An encoder of a full covariance has n (n + 3) / 2 outputs.
    values = TIER.model_dump()
    values["experiments"][0]["axes"]["objective"] = ["full", "bilbo"]
    assert values["experiments"][0]["name"] == "posterior_variance"
    of_full = made(
        [row | {"objective": "full"} if row["objective"] == "learned" else row for row in rows],
        tier=type(TIER).model_validate(values),
    )
    ratio = values_of("encoder_outputs_ratio", of_full, of="bilbo", over="full", n="high")
    assert ratio == pytest.approx([20 / (20 * 23 / 2)] * 2)
