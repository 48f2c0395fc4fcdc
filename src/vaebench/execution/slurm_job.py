"""What a process knows of the Slurm job that it runs in: how long it may go on, and who it is."""

import os
import subprocess
import time

from vaebench.progress import log

MARGIN = 120
"""Seconds before its wall time at which training saves and stops; a fifth of what is left, at
most."""
TOLD = (
    *("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_PARTITION"),
    *("SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES"),
)
"""Variables that are recorded of a job."""


def describe_job() -> dict[str, str]:
    """The Slurm job, node and GPU of this process, and which attempt it is; empty outside Slurm.

    `ATTEMPT` counts from 1 how often Snakemake submitted the job, `RESTARTS` how often Slurm put
    it back into the queue.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return {}
    known = {name: os.environ[name] for name in TOLD if name in os.environ}
    if attempt := os.environ.get("VAEBENCH_ATTEMPT"):
        known["ATTEMPT"] = attempt
    # The environment of a step does not have it.
    if restarts := _ask_queue(job, "RestartCnt"):
        known["RESTARTS"] = restarts
    return known


def job_deadline() -> float | None:
    """The time of `time.monotonic()` at which to save and stop, so that Slurm need not kill.

    None outside Slurm, and in a job without a limit.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return None
    text = _ask_queue(job, "TimeLeft")
    left = None if text is None else seconds(text)
    if left is None:
        log.info(f"Slurm job {job}: no wall time is known ({text or 'squeue does not answer'})")
        return None
    return time.monotonic() + left - min(MARGIN, left / 5)


def seconds(text: str) -> int | None:
    """Seconds of a time as Slurm writes it, `[days-][[hours:]minutes:]seconds`; None if it is none.

    UNLIMITED, NOT_SET and INVALID are none.
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
    """A field of the job as `squeue` tells it; None if it tells nothing."""
    command = ["squeue", "--noheader", "--jobs", _task(job), "--Format", f"{field}:30"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.split()
    return lines[0] if lines else None


def _task(job: str) -> str:
    """How to ask for the job: a task of an array by its place there, or squeue tells of others."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else job
