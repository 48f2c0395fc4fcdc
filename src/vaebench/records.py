"""The record of a run, metrics.json: written once by the worker, validated wherever it is read."""

import math
from pathlib import Path
from typing import Literal, SupportsFloat

from pydantic import BaseModel, ConfigDict, ValidationError

from vaebench.errors import UserError
from vaebench.settings import Settings

SCHEMA_VERSION: Literal[1] = 1


class Record(BaseModel):
    """Refuses keys it does not know, so that a record of another version is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HistoryPoint(Record):
    """The test set after an epoch (from 1), in nats per example; null is not finite."""

    epoch: int
    elbo: float | None
    rate: float | None
    distortion: float | None


class SetMetrics(Record):
    """A whole set, in nats per example; null is not finite, or of a run that diverged."""

    elbo: float | None
    rate: float | None
    distortion: float | None


class HeldOutMetrics(SetMetrics):
    """The test set; `elbo` has S^2 of the test set, as in the paper."""

    elbo_frozen_prior: float | None
    """With S^2 of the training set."""
    active_units: int
    """Latent dimensions whose mean KL divergence exceeds 0.01 nats."""


class Final(Record):
    """After the last step."""

    train: SetMetrics
    test: HeldOutMetrics


class Timing(Record):
    """Of training alone. All runs of a pack advance together and share these."""

    seconds: float
    steps_per_second: float
    """Optimisation steps of this run per second of training."""


class Worker(Record):
    """The process that trained the run."""

    device: Literal["cpu", "cuda", "mps"]
    processor: str
    driver: str | None
    platform: str
    python: str
    libraries: dict[str, str]
    threads: int
    deterministic: bool
    """Whether torch was told to use deterministic algorithms alone."""
    packed_runs: int
    """How many runs were trained together."""
    commit: str | None
    dirty: bool | None
    """Whether tracked files differed from the commit."""
    slurm: dict[str, str]


class Digests(Record):
    """SHA-256 of what went into the run and came out of it."""

    settings: str
    sources: str
    data: str
    environment: str | None
    """Of requirements.lock, where there is one."""
    weights: str
    arrays: str


class RunRecord(Record):
    """metrics.json."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run: Settings
    run_hash: str
    status: Literal["completed", "diverged"]
    diverged_step: int | None
    """The step, from 1, at which the loss became non-finite."""
    final: Final
    history: list[HistoryPoint]
    timing: Timing
    worker: Worker
    digests: Digests

    def to_json(self) -> str:
        """The text of metrics.json."""
        return self.model_dump_json(indent=2) + "\n"


def read_record(path: Path) -> RunRecord:
    """Read and check a metrics.json.

    Raises:
        UserError: it is missing, damaged or of another version.
    """
    try:
        return RunRecord.model_validate_json(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the run was not trained") from None
    except (ValidationError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no valid record of a run: {error}") from None


def finite(value: SupportsFloat) -> float | None:
    """A number for a record: null where it is not finite, since JSON has no word for it."""
    number = float(value)
    return number if math.isfinite(number) else None
