"""Measures finished runs from their weights, each once, and writes records beside them.

What is computed is for the measures to say: `evidence/`, `equations/`, `latent/`, `dependence/`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor

from vaebench.evaluation.arrays import to_npz
from vaebench.execution.device import describe_device
from vaebench.files import digest_bytes, write_atomically
from vaebench.memory import named_shortage
from vaebench.progress import log
from vaebench.reading.arrays import read_arrays
from vaebench.reading.tensors import read_tensors
from vaebench.runs.measurement import MeasurementRecord, RunFiles
from vaebench.runs.measures import Measure
from vaebench.runs.record import RunRecord, read_record
from vaebench.runs.store import (
    has_run,
    keep_files,
    locked,
    remove_unfinished,
    run_folder,
    unfinished_measurement,
)

P = TypeVar("P", bound=BaseModel)
LESS_MEMORY = "Measure it on a machine with more memory. What is measured already is kept"
"""What to do if memory does not suffice."""


@dataclass(frozen=True)
class Work(Generic[P]):
    """A run that is to be measured."""

    run: RunFiles
    record: RunRecord
    plan: P
    data: Path
    """The folder with `prepared/`."""
    device: torch.device
    store: Path
    unfinished: Path
    """A folder for finished parts of the work. Another attempt finds them there."""

    @property
    def divergence(self) -> str | None:
        """Says that the run diverged, so that nothing can be measured on it. None if it did not."""
        if self.record.status == "completed":
            return None
        return f"the run diverged at step {self.record.diverged_step}"


@dataclass(frozen=True)
class Outcome:
    """What was measured on a run."""

    entries: Mapping[str, Any]
    """The entries of the record that only this measure has."""
    arrays: Mapping[str, NDArray[Any]]
    device: torch.device
    """Where it was computed."""
    text: str
    """A line for the log."""


def measure_runs(
    measure: Measure[MeasurementRecord],
    compute: Callable[[Work[P]], Outcome],
    runs: Sequence[RunFiles],
    plan: P,
    data: Path,
    device: torch.device,
    store: Path,
    keep: bool = True,
) -> None:
    """Measure each run. Runs that are measured in this way already are skipped.

    Args:
        measure: what is measured.
        compute: measures one run.
        runs: of any datasets.
        plan: how.
        data: the folder with `prepared/`.
        device: where to compute.
        store: the store of finished runs. What it has is copied. It also keeps finished parts of
            measurements that were stopped.
        keep: whether the store also keeps what is measured now, in place of what was measured by
            another plan.

    Raises:
        UserError: the record of a run is missing or damaged, or `compute` raised it, such as for
            weights that are missing.
    """
    for run in runs:
        record = read_record(run.folder / "metrics.json")
        # Equal keys give equal parts.
        parts = [record.run_hash, record.digests.weights, measure.digest(), device.type]
        key = digest_bytes(json.dumps([*parts, plan.model_dump()]).encode())
        with locked(store, [f"{measure.name}-{key}"]):
            if measure.is_in(run.folder, record, plan):
                continue
            kept = run_folder(store, record.run_hash)
            if measure.is_in(kept, record, plan):
                for name in measure.files:
                    write_atomically(run.folder / name, (kept / name).read_bytes())
                continue
            unfinished = unfinished_measurement(store, measure.name, key)
            with named_shortage(f"[{measure.name}] {run.folder}", LESS_MEMORY):
                outcome = compute(Work(run, record, plan, data, device, store, unfinished))
            _write(measure, run.folder, record, plan, outcome)
            if keep and has_run(store, record.run_hash):
                keep_files(store, record.run_hash, run.folder, measure.files)
            remove_unfinished(unfinished)
        log.info(f"[{measure.name}] {run.folder}: {outcome.text}")


def open_run(run: RunFiles, record: RunRecord) -> tuple[dict[str, Tensor], dict[str, NDArray[Any]]]:
    """The weights and the arrays of a finished run.

    Raises:
        UserError: they are missing or changed.
    """
    named = str(run.folder / "metrics.json")
    remedy = (
        "this is measured from weights, so train the run again (runs in the store are only copied)"
    )
    weights = read_tensors(run.weights, remedy, record.digests.weights, named)
    return weights, read_arrays(run.folder / "arrays.npz", remedy, record.digests.arrays, named)


def levels(images: NDArray[np.uint8]) -> Tensor:
    """Images as rows.

    Args:
        images: shape `[N, height, width]` or `[N, height, width, colour]`.

    Returns:
        The same levels, shape `[N, pixels]`.
    """
    return torch.from_numpy(images.reshape(len(images), -1))


def _write(
    measure: Measure[MeasurementRecord],
    folder: Path,
    record: RunRecord,
    plan: BaseModel,
    outcome: Outcome,
) -> None:
    arrays, path = (folder / name for name in measure.files)
    content = to_npz(dict(outcome.arrays))
    written = measure.record.model_validate(
        {
            "run_hash": record.run_hash,
            "weights": record.digests.weights,
            "data": record.digests.data,
            "sources": measure.digest(),
            "arrays": digest_bytes(content),
            "plan": plan,
            "device": outcome.device.type,
            "processor": describe_device(outcome.device),
            **outcome.entries,
        }
    )
    write_atomically(arrays, content)
    write_atomically(path, written.to_json().encode())
