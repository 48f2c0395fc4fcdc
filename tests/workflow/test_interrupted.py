"""A snakemake that is killed, and one that is started beside another."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.project import RUNS, Project, copy_project

pytestmark = pytest.mark.workflow


def start_long(root: Path, data_root: Path) -> tuple[Project, subprocess.Popen[str]]:
    """A snakemake at work that trains for some seconds and saves its state after each epoch."""
    project = copy_project(root, data_root)
    values = yaml.safe_load((root / "tiny.yaml").read_text())
    values["experiments"][0]["settings"]["epochs"] = 60
    values["execution"] = {"save_every": 1}
    values["figures"] = []
    (root / "tiny.yaml").write_text(yaml.safe_dump(values))
    process = subprocess.Popen(
        project.command("--", RUNS), cwd=root, env=project.environment(), start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return project, process


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Until something is so, while the process runs."""
    limit = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < limit
        assert process.poll() is None
        time.sleep(0.01)


def test_snakemake_killed_in_the_middle_goes_on_where_it_stood(
    tmp_path: Path, data_root: Path
) -> None:
    project, process = start_long(tmp_path, data_root)
    states = tmp_path / ".vaebench" / "states"
    wait_until(lambda: any(states.glob("*.state")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # The kill leaves snakemake's lock on the folder behind; the next one clears it.
    assert any((tmp_path / ".snakemake" / "locks").iterdir())
    project.jobs("--", RUNS)
    logs = "".join(path.read_text() for path in project.results.rglob("logs/train/**/*.log"))
    assert "continues after step" in logs
    assert not any(states.glob("*.state"))


def test_run_beside_snakemake_waits_and_trains_nothing_twice(
    tmp_path: Path, data_root: Path
) -> None:
    project, first = start_long(tmp_path, data_root)
    states = tmp_path / ".vaebench" / "states"
    wait_until(lambda: any(states.glob("*.state")), first)
    os.killpg(first.pid, signal.SIGSTOP)
    command = [sys.executable, "-m", "vaebench", "run", "--tier", "tiny.yaml"]
    log = tmp_path / "log"
    try:
        with log.open("w") as file:
            second = subprocess.Popen(
                command, cwd=tmp_path, env=project.environment(), stdout=file, stderr=file
            )
        wait_until(lambda: "waiting: process" in log.read_text(), second)
    finally:
        os.killpg(first.pid, signal.SIGCONT)
    output = first.communicate(timeout=600)[0]
    assert first.returncode == 0, output
    assert second.wait(timeout=600) == 0, log.read_text()
    logs = [path.read_text() for path in project.results.rglob("logs/train/**/*.log")]
    trained = sum(text.count("runs together") for text in [*logs, log.read_text()])
    assert trained == 2, "each of the two packs once"
    assert project.planned("--", RUNS) == set()


def test_a_second_snakemake_is_told_who_works_here_and_changes_nothing(
    tmp_path: Path, data_root: Path
) -> None:
    project, first = start_long(tmp_path, data_root)
    wait_until(lambda: any((tmp_path / ".snakemake" / "locks").glob("*")), first)
    os.killpg(first.pid, signal.SIGSTOP)
    try:
        second = project.snakemake()
    finally:
        os.killpg(first.pid, signal.SIGCONT)
    text = second.stdout + second.stderr
    assert second.returncode != 0
    assert f'another snakemake is running here: {{"pid": {first.pid}, "host"' in text
    assert "Directory cannot be locked" in text
    output = first.communicate(timeout=600)[0]
    assert first.returncode == 0, output
    assert project.planned("--", RUNS) == set()
