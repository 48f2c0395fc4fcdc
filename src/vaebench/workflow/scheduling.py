"""Keeps Snakemake's scheduler quiet while jobs run."""

from typing import Any

USUAL = (100, 1)
"""Snakemake's own limit: jobs, and seconds in which they may start."""


def drop_usual_limit(workflow: Any) -> None:
    """Take away the limit on the rate of jobs, unless somebody chose another one.

    Under a limit, each time that the scheduler looks for jobs starts a timer after which it looks
    again, and so does each job that ends. So it looks N times a second after N jobs. After 75 jobs
    of a tier, this took a quarter of a core. Snakemake documents no way to have no limit; if a
    version has none, or another one, nothing happens here.

    Args:
        workflow: Snakemake's, when it starts.
    """
    scheduler = getattr(workflow, "scheduler", None)
    limiter = getattr(scheduler, "job_rate_limiter", None)
    found = (getattr(limiter, "max_jobs", None), getattr(limiter, "timespan", None))
    if scheduler is not None and found == USUAL:
        scheduler.job_rate_limiter = None
