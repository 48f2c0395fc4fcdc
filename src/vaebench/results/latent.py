"""The collected columns about the aggregated posterior, and the arrays of a run behind them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from vaebench.experiment.grid import Experiment, Run
from vaebench.paths import Layout
from vaebench.reading.arrays import read_arrays
from vaebench.results.measured import checked
from vaebench.runs.latent_record import Latent
from vaebench.runs.measures import LATENT
from vaebench.runs.record import RunRecord

LATENT_COLUMNS = (
    *("rate", "information", "kl", "kl_held_out", "linear", "shape", "gaussian_gain"),
    *("linear_from_standard", "active", "variance_mean", "variance_error", "mean_size"),
    *("correlation_of_codes", "kurtosis", "share_of_means", "mmd", "mmd_null", "mmd_all"),
    *("evidence", "evidence_gaussian_gain", "evidence_aggregated_gain"),
    *("log_kid", "log_kid_gaussian", "log_kid_aggregated", "log_kid_floor"),
    *("coverage", "coverage_gaussian", "coverage_aggregated"),
    *("correlation", "correlation_exact", "axes_source"),
    *("diagonal_loss", "diagonal_loss_random", "diagonal_loss_best", "alignment"),
)
"""The columns about the aggregated posterior, after `latent_`."""
MMD_SCALE = "1"
LEAST_KID = 1e-6


def latent_columns(found: Latent | None) -> dict[str, Any]:
    """The columns of the collected table; None for a diverged run and what is not measured.

    Moments and `mmd` are of active dimensions, `mmd_all` of all. `variance_error` is the larger
    distance from 1 of the smallest and the largest variance. A KID below that of training images is
    replaced by the latter, as the estimate may be below 0.
    """
    values: dict[str, Any] = dict.fromkeys(LATENT_COLUMNS)
    if found is not None:
        mismatch, moments = found.mismatch, found.moments
        values |= {
            "rate": mismatch.rate,
            "information": mismatch.information.value,
            "kl": mismatch.kl.value,
            "kl_held_out": mismatch.held_out.value,
            "linear": mismatch.linear,
            "shape": mismatch.shape,
            "gaussian_gain": mismatch.gaussian_gain.value,
            "linear_from_standard": mismatch.linear_from_standard,
            "active": moments.active,
            "variance_mean": moments.variance_mean,
            "mean_size": moments.mean_size,
            "correlation_of_codes": moments.correlation,
            "kurtosis": moments.kurtosis,
            "share_of_means": moments.share_of_means,
            "mmd": found.discrepancy.active.get(MMD_SCALE),
            "mmd_null": found.discrepancy.active_null.get(MMD_SCALE),
            "mmd_all": found.discrepancy.all[MMD_SCALE],
        }
        if moments.variance_low is not None and moments.variance_high is not None:
            values["variance_error"] = max(1 - moments.variance_low, moments.variance_high - 1)
        values |= _of_priors(found) | _of_axes(found)
    return {f"latent_{name}": value for name, value in values.items()}


def _of_priors(found: Latent) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if found.evidence is not None:
        values |= {
            "evidence": found.evidence.prior,
            "evidence_gaussian_gain": found.evidence.gaussian_gain.value,
            "evidence_aggregated_gain": found.evidence.aggregated_gain.value,
        }
    if found.samples is not None:
        floor = max(found.samples.floor.kid, LEAST_KID)
        values["log_kid_floor"] = math.log(floor)
        places = {"prior": "", "gaussian": "_gaussian", "aggregated": "_aggregated"}
        for place, suffix in places.items():
            quality = getattr(found.samples, place)
            values[f"log_kid{suffix}"] = math.log(max(quality.kid, floor))
            values[f"coverage{suffix}"] = quality.coverage
    return values


def _of_axes(found: Latent) -> dict[str, Any]:
    if found.axes is None:
        return {}
    return {
        "correlation": found.axes.correlation,
        "correlation_exact": found.axes.correlation_exact,
        "axes_source": found.axes.source,
        "diagonal_loss": found.axes.loss,
        "diagonal_loss_random": found.axes.random,
        "diagonal_loss_best": found.axes.best,
        "alignment": found.axes.alignment,
    }


def checked_latent(
    layout: Layout, experiment: Experiment, run: Run, record: RunRecord
) -> dict[str, Any]:
    """The columns of a run, after a check that they are of its weights, this code and this plan.

    Raises:
        UserError: as `results.measured.checked`.
    """
    found = checked(LATENT, layout, experiment, run, record)
    return latent_columns(found.latent)


def latent_arrays(layout: Layout, row: Mapping[str, Any] | pd.Series) -> dict[str, NDArray[Any]]:
    """The arrays of a run, see `latent/method.py`.

    Raises:
        UserError: they are missing or damaged.
    """
    path: Path = layout.latent(row["experiment"], row["folder"]).with_suffix(".npz")
    return read_arrays(path, "measure the run again with vaebench latent")
