"""The profile on a real Slurm: what its jobs are, and what stops them."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.harness import outcome, vaebench
from tests.slurm.conftest import Make, command, long, trained_here, wait_until

pytestmark = pytest.mark.slurm

Epochs = Callable[[float], int]
SELDOM = {"save_every": 100_000}
"""So that a state is saved when the job is told to stop, and else never."""


def test_the_one_command_runs_jobs_on_slurm_as_large_as_the_site_says(
    make: Make, tmp_path: Path
) -> None:
    """Small cells together, large ones divided into arrays of jobs."""
    cluster = make(
        {"axes": {"objective": ["learned", "bilbo"], "latent_dim": [2, 3], "seed": [0, 1]}},
        {
            "settings": {"objective": "constant"},
            "axes": {"latent_dim": [2, 3], "seed": [0, 1, 2, 3, 4]},
        },
        VAEBENCH_SLURM_RUNS="5",
        VAEBENCH_SLURM_GPU="1",
    )
    cluster.finish(cluster.start())
    jobs, workers = cluster.jobs(), cluster.workers()
    assert [job["JobState"] for job in jobs] == ["COMPLETED"] * (2 + 2)
    assert len([job for job in jobs if "ArrayJobId" in job]) == 2
    assert [worker["packed_runs"] for worker in workers] == [2] * 8 + [5] * 10
    assert {worker["slurm"]["SLURM_JOB_ID"] for worker in workers} == {j["JobId"] for j in jobs}
    for slurm in (worker["slurm"] for worker in workers):
        assert slurm["CUDA_VISIBLE_DEVICES"] in ("0", "1")
        assert command("hostname", "-s") not in slurm.values()
        assert (slurm["ATTEMPT"], slurm["RESTARTS"]) == ("1", "0")
    # Short rules ran here.
    assert (cluster.root / "results" / "tiny" / "index.html").exists()
    assert cluster.outcome() == trained_here(cluster, 5, tmp_path)
    # Jobs of another size are no reason to do anything.
    cluster.variables["VAEBENCH_SLURM_RUNS"] = "1"
    assert "Nothing to be done" in cluster.finish(cluster.start())


def test_a_job_has_the_threads_of_the_config_and_the_gpu_of_the_site(make: Make) -> None:
    """However few cores the machine has where snakemake runs; the GPU by --gres."""
    cluster = make(long(2, 2), execution={"threads": 2}, VAEBENCH_SLURM_GPU="gpu:1")
    cluster.finish(cluster.start("collect", "--cores", "1"))
    (job,) = cluster.jobs()
    assert job["ProcCnt"] == "2"
    for worker in cluster.workers():
        assert worker["threads"] == 2
        assert worker["slurm"]["CUDA_VISIBLE_DEVICES"] in ("0", "1")


def test_jobs_that_were_cancelled_requeued_drained_or_preempted_go_on(
    make: Make, epochs_in: Epochs, tmp_path: Path
) -> None:
    cluster = make(long(epochs_in(45), 2, 3), execution=SELDOM, VAEBENCH_SLURM_RUNS="2")
    process, node = cluster.start("collect"), command("hostname", "-s")
    cluster.wait_for(" epoch 1/", logs=2)
    cancelled, requeued = sorted(cluster.running())
    try:
        command("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
        command("scancel", cancelled)
        command("scontrol", "requeue", requeued)
        wait_until(lambda: cluster.state(requeued) == "PENDING", "it is queued again")
        wait_until(lambda: "drained" in command("sinfo", "-h", "-o", "%T"), "the node is drained")
    finally:
        command("scontrol", "update", f"NodeName={node}", "State=RESUME")
    cluster.wait_for("continues after step", logs=2)
    command("sbatch", "-p", "urgent", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1")
    wait_until(lambda: cluster.state(requeued) == "PENDING", "it is preempted")
    cluster.finish(process)
    ended = Counter(job["JobState"] for job in cluster.jobs())
    # And the requeued one once more, which versions of Slurm log under different names.
    assert ended | {"CANCELLED": 1, "PREEMPTED": 2, "COMPLETED": 2} == ended
    assert sum(ended.values()) == 6
    assert {worker["slurm"]["ATTEMPT"] for worker in cluster.workers()} == {"1", "2"}
    assert all(int(worker["slurm"]["RESTARTS"]) > 0 for worker in cluster.workers())
    assert all("continues after step" in log for log in cluster.logs())
    assert cluster.outcome() == trained_here(cluster, 2, tmp_path)


def test_a_killed_snakemake_leaves_its_job_and_the_next_one_trains_nothing_twice(
    make: Make, epochs_in: Epochs, tmp_path: Path
) -> None:
    cluster = make(long(epochs_in(25), 2), execution=SELDOM)
    process = cluster.start("collect")
    cluster.wait_for(" epoch 1/")
    (job,) = cluster.running()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    cluster.finish(cluster.start("collect"))
    assert {done["JobState"] for done in cluster.jobs()} == {"COMPLETED"}
    (log,) = cluster.logs()
    assert "2 of 2 runs are trained already" in log
    assert {worker["slurm"]["SLURM_JOB_ID"] for worker in cluster.workers()} == {job}
    assert cluster.outcome() == trained_here(cluster, 150, tmp_path)


def test_a_job_stops_itself_before_its_wall_time_and_goes_on_with_a_longer_one(
    make: Make, epochs_in: Epochs
) -> None:
    """Each attempt has a minute more than the one before."""
    # The first job has some 45 of its 60 seconds for training.
    epochs = epochs_in(100)
    cluster = make(long(epochs, 2), execution=SELDOM, VAEBENCH_SLURM_MINUTES="1")
    local = make(long(epochs, 2))
    beside = vaebench(local.root, "run", "--tier", "paper", "--threads", "1").start()
    cluster.finish(cluster.start("collect"))
    *stopped, last = cluster.jobs()
    assert stopped
    # Not TIMEOUT: none had to be killed.
    assert [job["JobState"] for job in stopped] == ["FAILED"] * len(stopped)
    assert last["JobState"] == "COMPLETED"
    limits = [int(job["TimeLimit"]) for job in cluster.jobs()]
    assert limits == list(range(1, len(limits) + 1))
    assert "continues after step" in cluster.logs()[0]
    assert beside.wait(timeout=900) == 0
    assert cluster.outcome() == outcome(local.root / "results")
