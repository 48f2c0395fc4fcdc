"""Collects the runs of a tier in one table, and refuses runs that do not fit the tier."""

import io
from pathlib import Path
from typing import Any

import pandas as pd

from vaebench.data.prepared import data_digest
from vaebench.errors import UserError
from vaebench.experiment.grid import Cell, Experiment, Run, expand
from vaebench.experiment.tier import Tier
from vaebench.files import write_atomically
from vaebench.paths import DATA, Layout
from vaebench.reading.thin import is_copy_of, whole_digest_of
from vaebench.results.dependence import dependence_of
from vaebench.results.equations import COLUMNS, equation_rows
from vaebench.results.latent import checked_latent
from vaebench.results.measured import checked
from vaebench.runs.evidence_record import Evidence
from vaebench.runs.finished import is_finished
from vaebench.runs.measures import EVIDENCE
from vaebench.runs.record import (
    LATER_NUMBERS,
    ClassifierRecord,
    EvaluationRecord,
    Quality,
    RunRecord,
    read_as,
    read_record,
)
from vaebench.runs.run_hash import accepted_hashes
from vaebench.runs.sources import accepted_quality, accepted_sources

EVIDENCE_COLUMNS = (
    *("method", "images", "is_log_likelihood", "mean", "standard_error", "mean_data_units"),
    *("elbo", "gap", "gap_median", "gap_high", "amortisation", "error"),
    *("laplace", "laplace_difference", "laplace_difference_median"),
)
"""The columns about the evidence, after `evidence_`."""


def collect(tier: Tier, layout: Layout, finished_only: bool = False) -> None:
    """Check every run of the tier and write the collected tables.

    The hash of each run is computed again from the tier's settings, the sources of this checkout
    and the digest of the data. So results of other settings, code or data are found, even if the
    workflow considers them up to date.

    Args:
        tier: the tier.
        layout: the places of its files.
        finished_only: whether to skip runs that are not trained.

    Raises:
        UserError: runs are missing, damaged or do not fit the tier, or no run is trained. The text
            names each run and the command that trains it.
    """
    rows: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    equations: list[dict[str, Any]] = []
    refused: list[str] = []
    for experiment in tier.experiments:
        for cell in expand(experiment):
            problems = []
            for run in cell.runs:
                if finished_only and not is_finished(layout, experiment.name, run):
                    continue
                folder = layout.run(experiment.name, run.folder)
                try:
                    record = _checked(folder, run)
                except UserError as error:
                    problems.append(str(error))
                    continue
                row = _row(layout, experiment.name, run, record)
                for is_asked, columns in (
                    (experiment.sample_quality, _quality),
                    (experiment.evidence_plan is not None, _evidence),
                    (experiment.latent_plan is not None, checked_latent),
                    (experiment.dependence_plan is not None, dependence_of),
                ):
                    if is_asked:
                        try:
                            row |= columns(layout, experiment, run, record)
                        except UserError as error:
                            refused.append(str(error))
                if experiment.equations_plan is not None:
                    try:
                        equations += equation_rows(layout, experiment, run, record)
                    except UserError as error:
                        refused.append(str(error))
                rows.append(row)
                points += _points(experiment.name, run, record)
            if problems:
                refused += [*problems, _remedy(layout, experiment.name, cell)]
    if refused:
        raise UserError("the runs cannot be collected:\n" + "\n".join(f"  {r}" for r in refused))
    if not rows:
        raise UserError(f"no run of tier '{tier.tier}' is trained")
    _write(pd.DataFrame(rows), layout.runs)
    _write(pd.DataFrame(points), layout.history)
    if any(experiment.equations_plan is not None for experiment in tier.experiments):
        _write(pd.DataFrame(equations, columns=list(COLUMNS)), layout.equation_values)


def _checked(folder: Path, run: Run) -> RunRecord:
    record = read_record(folder / "metrics.json")
    if record.run_hash not in accepted_hashes(run.settings):
        data = data_digest(DATA / "prepared", run.settings.dataset)
        agrees = {
            "settings": record.digests.settings == run.settings.digest,
            "sources": record.digests.sources in accepted_sources(run.settings),
            "data": record.digests.data == data,
        }
        reasons = [name for name, same in agrees.items() if not same]
        raise UserError(
            f"{folder}: refused, made with other {', '.join(reasons) or 'digests than its hash'}"
        )
    if record.run != run.settings:
        raise UserError(f"{folder}: refused, its record was changed after its hash was made")
    arrays = folder / "arrays.npz"
    if not is_copy_of(arrays, record.digests.arrays):
        raise UserError(f"{arrays}: refused, missing or not the file that the run's record names")
    return record


def _quality(layout: Layout, experiment: Experiment, run: Run, record: RunRecord) -> dict[str, Any]:
    """The sample quality of a run, after a check that it is of these weights and this code."""
    remedy = (
        f"measure it with: vaebench evaluate --tier {layout.config} --experiment {experiment.name}"
    )
    path = layout.evaluation(experiment.name, run.folder)
    found = read_as(EvaluationRecord, path, remedy)
    known = read_as(ClassifierRecord, layout.classifier(record.run.dataset), "run the tier")
    agrees = {
        "run": found.run_hash == record.run_hash,
        "weights": found.weights == record.digests.weights,
        "classifier": found.classifier == known.weights,
        "sources": found.sources in accepted_quality(),
        "sources of the classifier": known.sources in accepted_quality(),
        "data": known.data == record.digests.data,
    }
    if others := [name for name, same in agrees.items() if not same]:
        raise UserError(f"{path}: refused, made with other {', '.join(others)}; {remedy}")
    measured = {f"sample_{name}": None for name in Quality.model_fields}
    if found.samples is not None:
        measured |= {f"sample_{k}": v for k, v in found.samples.model_dump().items()}
    floor = {f"floor_{name}": value for name, value in found.floor.model_dump().items()}
    return measured | floor | {"test_components": known.test_components}


def _evidence(
    layout: Layout, experiment: Experiment, run: Run, record: RunRecord
) -> dict[str, Any]:
    """The evidence of a run, after a check that it is of these weights, this code and this plan."""
    found = checked(EVIDENCE, layout, experiment, run, record)
    return evidence_columns(found.evidence)


def evidence_columns(found: Evidence | None) -> dict[str, Any]:
    """The columns of the collected table about the evidence, in nats; None for a diverged run.

    `evidence_mean` is log p(x) of scaled data, comparable with `test_elbo`. `evidence_error` is the
    error of the method in nats: how far the mean moved with half of the grid's points, or the mean
    width of the bracket of simulated images.
    """
    values: dict[str, Any] = dict.fromkeys(EVIDENCE_COLUMNS)
    if found is not None:
        parts, witness = found.refinement, found.laplace
        values |= {
            "method": found.method,
            "images": found.images,
            "is_log_likelihood": found.is_log_likelihood,
            "mean": found.log_p.mean,
            "standard_error": found.log_p.standard_error,
            "mean_data_units": found.log_p.mean + found.log_volume,
            "elbo": found.elbo.mean,
            "gap": found.gap.mean,
            "gap_median": found.gap.median,
            "gap_high": found.gap.high,
            "amortisation": None if parts is None else parts.amortisation.mean,
            "error": _method_error(found),
        }
        if witness is not None:
            values |= {
                "laplace": witness.mean,
                "laplace_difference": witness.difference.mean,
                "laplace_difference_median": witness.difference.median,
            }
    return {f"evidence_{name}": value for name, value in values.items()}


def _method_error(found: Evidence) -> float | None:
    if found.grid is not None:
        return abs(found.grid.mean - found.grid.mean_at_half)
    return None if found.bidirectional is None else found.bidirectional.width


def _remedy(layout: Layout, experiment: str, cell: Cell) -> str:
    return (
        f"    train it with: vaebench run --tier {layout.config} --experiment {experiment} "
        f"--cell '{cell.folder}'"
    )


def _row(layout: Layout, experiment: str, run: Run, record: RunRecord) -> dict[str, Any]:
    test, train = record.final.test, record.final.train
    return {
        "experiment": experiment,
        "folder": run.folder.as_posix(),
        **run.settings.model_dump(),
        "status": record.status,
        "diverged_step": record.diverged_step,
        "likelihood_variance": record.final.likelihood_variance
        if record.status == "completed"
        else None,
        "fitted_prior_trace": record.final.fitted_prior_trace,
        "fitted_prior_trace_batch": record.final.fitted_prior_trace_batch,
        **{f"test_{name}": value for name, value in test.model_dump().items()},
        # The weights of a diverged run give no result, so this number is null like the others.
        **({"test_active_units": None} if record.status == "diverged" else {}),
        **{f"train_{name}": value for name, value in train.model_dump().items()},
        "seconds": record.timing.seconds,
        "steps_per_second": record.timing.steps_per_second,
        "device": record.worker.device,
        "processor": record.worker.processor,
        "threads": record.worker.threads,
        "packed_runs": record.worker.packed_runs,
        "commit": record.worker.commit,
        "run_hash": record.run_hash,
        "attested": accepted_sources(record.run)[record.digests.sources].level,
        "metrics_digest": whole_digest_of(layout.run(experiment, run.folder) / "metrics.json"),
        "weights_digest": record.digests.weights,
        "arrays_digest": record.digests.arrays,
    }


def _points(experiment: str, run: Run, record: RunRecord) -> list[dict[str, Any]]:
    key = {"experiment": experiment, "folder": run.folder.as_posix()}
    other = {"epoch", "step", *LATER_NUMBERS}
    return [
        {**key, "epoch": point.epoch, "step": point.step}
        # Columns have the names of the table of runs, in which `objective` is a setting.
        | {f"test_{name}": v for name, v in point.model_dump(exclude=other).items()}
        | {name: getattr(point, name) for name in LATER_NUMBERS}
        for point in record.history
    ]


def _write(frame: pd.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    # A flipped bit of a number is found when the table is read.
    frame.to_parquet(buffer, index=False, write_page_checksum=True)
    write_atomically(path, buffer.getvalue())
