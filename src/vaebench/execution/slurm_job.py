"""The Slurm job that this process runs in: its description and its remaining wall time."""

import os
import subprocess
import time

from vaebench.progress import log

MARGIN = 120
"""Training saves and stops this many seconds before the wall time, or after four fifths of the
remaining time if that is later."""
TOLD = (
    *("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_PARTITION"),
    "CUDA_VISIBLE_DEVICES",
)
"""The environment variables of a job that are recorded. The name of its node is not: records are
handed to others."""


def describe_job() -> dict[str, str]:
    """The Slurm job and GPU of this process, and the number of its attempt.

    `ATTEMPT` counts, from 1, the submissions of the job by Snakemake. `RESTARTS` counts how often
    Slurm put it back into the queue. The result is empty outside Slurm.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return {}
    log.info(f"Slurm job {job} on {os.environ.get('SLURMD_NODENAME', 'an unknown node')}")
    known = {name: os.environ[name] for name in TOLD if name in os.environ}
    if attempt := os.environ.get("VAEBENCH_ATTEMPT"):
        known["ATTEMPT"] = attempt
    # The environment of a job step does not have this number.
    if restarts := _ask_queue(job, "RestartCnt"):
        known["RESTARTS"] = restarts
    return known


def job_deadline() -> float | None:
    """The time, by `time.monotonic()`, at which to save and stop, before Slurm kills the job.

    None outside Slurm, and for a job without a time limit.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return None
    text = _ask_queue(job, "TimeLeft")
    left = None if text is None else seconds(text)
    if left is None:
        log.info(f"Slurm job {job}: the wall time is unknown ({text or 'squeue does not answer'})")
        return None
    return time.monotonic() + left - min(MARGIN, left / 5)


def seconds(text: str) -> int | None:
    """The seconds of a duration in Slurm's format, `[days-][[hours:]minutes:]seconds`.

    None for other texts, such as UNLIMITED, NOT_SET and INVALID.
    """
    days, _, rest = text.rpartition("-")
    try:
        total = int(days or 0) * 24
        parts = [int(part) for part in rest.split(":")]
    except ValueError:
        return None
    hours, minutes, whole = [0, 0, 0, *parts][-3:]
    return ((total + hours) * 60 + minutes) * 60 + whole


def _ask_queue(job: str, field: str) -> str | None:
    """A field of the job, from `squeue`. None if there is no answer."""
    command = ["squeue", "--noheader", "--jobs", _task(job), "--Format", f"{field}:30"]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.split()
    return lines[0] if lines else None


def _task(job: str) -> str:
    """The name of the job for `squeue`.

    A task of an array is named by its number, since the plain ID selects several tasks.
    """
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else job
