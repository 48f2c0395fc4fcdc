"""Snakemake's scheduler looks for jobs when one has ended, and not over and over in between."""

import re
from types import SimpleNamespace

import pytest

from tests.workflow.project import Project
from vaebench.workflow.scheduling import drop_usual_limit

LOOK = re.compile(r"^(?:Ready jobs|Ready subsampled jobs): \d+", re.MULTILINE)


@pytest.mark.workflow
def test_the_scheduler_looks_once_or_twice_for_each_job(project: Project) -> None:
    project.config(latent_dim=[2, 3, 4])
    done = project.snakemake("--cores", "1", "--verbose")
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    jobs = len(re.findall(r"^Finished jobid: ", text, re.MULTILINE))
    assert jobs >= 10
    assert jobs <= len(LOOK.findall(text)) <= 2 * jobs + 2


@pytest.mark.parametrize(
    ("limiter", "kept"),
    [
        (SimpleNamespace(max_jobs=100, timespan=1), False),
        (SimpleNamespace(max_jobs=5, timespan=60), True),
        (None, False),
    ],
)
def test_a_limit_that_somebody_chose_is_kept(limiter: object, kept: bool) -> None:
    workflow = SimpleNamespace(scheduler=SimpleNamespace(job_rate_limiter=limiter))
    drop_usual_limit(workflow)
    assert workflow.scheduler.job_rate_limiter is (limiter if kept else None)


def test_a_snakemake_without_a_scheduler_here_is_left_alone() -> None:
    drop_usual_limit(SimpleNamespace())
    drop_usual_limit(SimpleNamespace(scheduler=None))
