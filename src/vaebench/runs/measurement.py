"""What is measured on the weights of finished runs: where their files are, and common entries."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from vaebench.runs.record import Record


@dataclass(frozen=True)
class RunFiles:
    """Where the files of a finished run are."""

    folder: Path
    """The folder with its metrics.json. Records of what is measured are written beside it."""
    weights: Path
    """The path of its weights, which may be missing."""


class MeasurementRecord(Record):
    """The entries that the records of all measures have. Each has more, after these."""

    schema_version: Literal[1] = 1
    run_hash: str
    weights: str
    """SHA-256 of the run's weights."""
    data: str
    """The digest of the run's dataset."""
    sources: str
    """The digest of the code that measured."""
    arrays: str
    """SHA-256 of the file of arrays beside the record."""
    plan: BaseModel
    """How it was measured."""
    device: Literal["cpu", "cuda", "mps"]
    processor: str
