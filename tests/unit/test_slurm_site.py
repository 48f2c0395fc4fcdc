"""What a site sets, and what a process knows of its Slurm job."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from vaebench.errors import UserError
from vaebench.execution.slurm_job import describe_job, job_deadline, seconds
from vaebench.workflow.slurm_site import Site, read_site


def test_a_site_that_sets_nothing_has_defaults() -> None:
    assert read_site({"HOME": "/", "VAEBENCH_SLURM_PARTITION": ""}) == Site()
    assert (Site().gpus, Site().gres) == (0, None)


def test_a_gpu_is_asked_for_by_number_or_by_name() -> None:
    by_number = read_site({"VAEBENCH_SLURM_GPU": "2"})
    assert (by_number.gpus, by_number.gres) == (2, None)
    by_name = read_site({"VAEBENCH_SLURM_GPU": "gpu:a100:1"})
    assert (by_name.gpus, by_name.gres) == (0, "gpu:a100:1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MINUTES", "two"),
        ("MINUTES", "0"),
        ("RUNS", "-1"),
        ("GPU", "a100"),
        ("PARTITION", "a b"),
        ("MINUTS", "3"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UserError, match=f"VAEBENCH_SLURM_{name}: .*found '{value}'") as error:
        read_site({f"VAEBENCH_SLURM_{name}": value, "VAEBENCH_SLURM_MEMORY": "1"})
    assert "VAEBENCH_SLURM_MAX_MINUTES" in str(error.value)


def profile(**variables: str) -> dict[str, object]:
    """The profile as Snakemake reads it, by its own parser, in an environment of its own."""
    code = (
        "import json, sys; from snakemake.profiles import ProfileConfigFileParser as P; "
        "print(json.dumps(P().parse(open(sys.argv[1]))))"
    )
    path = PROJECT / "slurm" / "profile.v9+.yaml"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    values: dict[str, object] = json.loads(done.stdout)
    return values


def test_the_profile_follows_the_site() -> None:
    plain = profile()["default-resources"]
    assert plain == [
        "mem_mb=8000",
        "runtime=min(120 * attempt, 1440)",
        "runs_per_job=150",
        "retries=5",
    ]
    site = profile(
        VAEBENCH_SLURM_PARTITION="gpu",
        VAEBENCH_SLURM_ACCOUNT="007",
        VAEBENCH_SLURM_GPU="gpu:a100:1",
        VAEBENCH_SLURM_MINUTES="30",
        VAEBENCH_SLURM_EXTRA="--exclude=bad01",
    )["default-resources"]
    assert site == [
        "slurm_partition='gpu'",
        "slurm_account='007'",
        "slurm_extra='--exclude=bad01'",
        "gres='gpu:a100:1'",
        "mem_mb=8000",
        "runtime=min(30 * attempt, 1440)",
        "runs_per_job=150",
        "retries=5",
    ]
    assert "gpu=1" in str(profile(VAEBENCH_SLURM_GPU="1")["default-resources"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("59", 59), ("1:00", 60), ("1:02:03", 3723), ("2-00:00:01", 172801), ("UNLIMITED", None)],
)
def test_times_of_slurm_are_read(text: str, expected: int | None) -> None:
    assert seconds(text) == expected


def test_outside_slurm_there_is_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert describe_job() == {}
    assert job_deadline() is None


@pytest.mark.parametrize(
    ("left", "allowed"), [("1:00", 48), ("5:00", 240), ("2:00:00", 7080), ("UNLIMITED", None)]
)
def test_a_job_stops_in_time_before_its_wall_time(
    left: str,
    allowed: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\ntest \"$3\" = 7_2 && echo '{left}   '\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    deadline = job_deadline()
    if allowed is None:
        assert deadline is None
        assert "the wall time is unknown (UNLIMITED)" in capsys.readouterr().err
    else:
        assert deadline is not None
        assert deadline - time.monotonic() == pytest.approx(allowed, abs=2)
