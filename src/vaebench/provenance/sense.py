"""Whether the numbers in a record can be those of a run. Digests say nothing about that."""

import math
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from vaebench.runs.record import (
    ClassifierRecord,
    EvaluationRecord,
    HistoryPoint,
    Quality,
    RunRecord,
    SetMetrics,
)

LARGEST = 1e40
"""No number in a record is larger. A float32 has at most 3.4e38."""
SHARES = ("precision", "recall", "coverage")
NOT_NEGATIVE = ("mse", "information", "mean_image_mse", "density", "seconds", "steps_per_second")


def problems_of(record: BaseModel) -> Iterator[str]:
    """What is wrong with the numbers of a record of any kind, a text each."""
    for place, value in _numbers(record.model_dump(), ""):
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{place} is {value}"
        elif abs(value) > LARGEST or (isinstance(value, int) and abs(value) >= 2**63):
            yield f"{place} is larger than any number of a run"
        elif value < 0 and place.rpartition(".")[2] in NOT_NEGATIVE:
            yield f"{place} is negative ({value})"
    match record:
        case RunRecord():
            yield from _of_run(record)
        case EvaluationRecord():
            for place, quality in (("samples", record.samples), ("floor", record.floor)):
                yield from _of_quality(place, quality)
        case ClassifierRecord():
            yield from _of_quality("floor", record.floor)
            if not 0 <= record.test_accuracy <= 1:
                yield f"test_accuracy is no share ({record.test_accuracy})"


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float | int]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _numbers(one, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for k, one in enumerate(value):
            yield from _numbers(one, f"{place}.{k}")
    elif isinstance(value, float | int) and not isinstance(value, bool):
        yield place, value


def _of_run(record: RunRecord) -> Iterator[str]:
    run, test = record.run, record.final.test
    if (record.status == "diverged") != (record.diverged_step is not None):
        yield f"it is {record.status}, and its diverged_step is {record.diverged_step}"
    if record.diverged_step is not None and record.diverged_step < 1:
        yield f"diverged_step is {record.diverged_step}"
    if record.status == "diverged" and any(
        value is not None
        for part in (record.final.train, test)
        for name, value in part
        if name in SetMetrics.model_fields
    ):
        yield "it is diverged, and has final metrics"
    if not 0 <= test.active_units <= run.latent_dim:
        yield f"final.test.active_units is {test.active_units} of {run.latent_dim}"
    for name in ("threads", "packed_runs"):
        if getattr(record.worker, name) < 1:
            yield f"worker.{name} is {getattr(record.worker, name)}"
    yield from _of_history(record, record.history)


def _of_history(record: RunRecord, history: list[HistoryPoint]) -> Iterator[str]:
    run, steps = record.run, [point.step for point in history]
    if not history:
        yield "it has no history"
        return
    if any(a >= b for a, b in zip([0, *steps], steps, strict=False)):
        yield "the steps of its history do not rise"
    if run.steps is not None:
        if steps[-1] != run.steps:
            yield f"its history ends at step {steps[-1]} of {run.steps}"
        return
    epochs = [point.epoch or 0 for point in history]
    if any(a >= b for a, b in zip([0, *epochs], epochs, strict=False)):
        yield "the epochs of its history do not rise"
    if epochs[-1] != run.epochs:
        yield f"its history ends at epoch {epochs[-1]} of {run.epochs}"
    elif steps[-1] % epochs[-1] or any(
        step * epochs[-1] != epoch * steps[-1] for step, epoch in zip(steps, epochs, strict=True)
    ):
        yield "the epochs and steps of its history do not fit"


def _of_quality(place: str, quality: Quality | None) -> Iterator[str]:
    if quality is None:
        return
    if quality.images < 1:
        yield f"{place}.images is {quality.images}"
    for name in SHARES:
        if not 0 <= getattr(quality, name) <= 1:
            yield f"{place}.{name} is no share ({getattr(quality, name)})"
