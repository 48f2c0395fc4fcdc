"""A real Slurm of one node, and small projects that train on it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.conftest import PROJECT
from tests.faults.harness import outcome
from tests.tiers import CPU
from tests.workflow.project import copy_project
from vaebench.execution.session import Resources, targets_of, train_targets
from vaebench.experiment.jobs import job_rules
from vaebench.experiment.tier import load_tier
from vaebench.paths import Layout

ONE_NODE = PROJECT / "slurm" / "one-node"
COMPLETED = Path("/run/vaebench-slurm/log/completed")
"""Slurm's own log of the jobs that ended."""
SETTINGS = {
    "dataset": "digits", "likelihood": "bernoulli", "epochs": 2, "network": "mlp",
    "hidden_units": 16, "hidden_layers": 1, "batch_size": 100, "learning_rate": 0.001,
}  # fmt: skip


def command(*arguments: str) -> str:
    """Run a command of Slurm's; returns what it prints."""
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()


def wait_until(reached: Callable[[], bool], what: str, seconds: float = 240) -> None:
    limit = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < limit, f"waited in vain until {what}"
        time.sleep(0.2)


@pytest.fixture(scope="session", autouse=True)
def one_node() -> Iterator[None]:
    """Slurm runs; what was not up before is down after."""
    was_up = subprocess.run([ONE_NODE, "status"], capture_output=True).returncode == 0
    up = subprocess.run([ONE_NODE, "up"], capture_output=True, text=True)
    assert up.returncode == 0, f"there is no Slurm to test on: {up.stderr}"
    yield
    if not was_up:
        subprocess.run([ONE_NODE, "down"], check=True, capture_output=True)


@pytest.fixture(scope="session", autouse=True)
def plain_steps() -> Iterator[None]:
    """Steps are not compiled: that would make training three times as fast as it is estimated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAEBENCH_COMPILE", "never")
        yield


@dataclass(frozen=True)
class Cluster:
    """A copy of the project whose default tier is small, started as users start it."""

    root: Path
    variables: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        site = {"VAEBENCH_SLURM_MEMORY": "2000", "VAEBENCH_SLURM_MINUTES": "10"}
        return os.environ | {"PYTHONPATH": str(self.root / "src")} | site | self.variables

    def start(self, *more: str) -> subprocess.Popen[str]:
        """The command that users run, with more arguments, such as a target."""
        snakemake = str(Path(sys.executable).parent / "snakemake")
        with (self.root / "snakemake.log").open("a") as log:
            process = subprocess.Popen(
                [snakemake, "--cores", "all", "--profile", "slurm", *more],
                cwd=self.root, env=self.environment(), text=True, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    def stop(self) -> None:
        """End what a test that failed has left, so that the next one has the machine."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if jobs := self.running():
            command("scancel", *jobs)

    def finish(self, process: subprocess.Popen[str]) -> str:
        """Wait for its end; returns what all snakemakes here printed."""
        process.wait(timeout=900)
        text = (self.root / "snakemake.log").read_text()
        assert process.returncode == 0, text
        return text

    def logs(self) -> list[str]:
        """What training jobs said, each in its last attempt."""
        said = []
        for path in sorted(self.root.rglob("logs/train/**/*.log")):
            with suppress(FileNotFoundError):  # the next attempt is about to write it
                said.append(path.read_text())
        return said

    def jobs(self) -> list[dict[str, str]]:
        """Slurm's account of the jobs of this folder that ended."""
        lines = [line for line in COMPLETED.read_text().splitlines() if f"={self.root} " in line]
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]

    def running(self) -> list[str]:
        """The ids of this folder's jobs that run or wait now."""
        lines = command("squeue", "-h", "-o", "%i %Z").splitlines()
        return [line.split()[0] for line in lines if line.endswith(f" {self.root}")]

    def state(self, job: str) -> str:
        return command("squeue", "-h", "-j", job, "-o", "%T")

    def outcome(self) -> dict[str, object]:
        """Weights, arrays and numbers of all runs."""
        return outcome(self.root / "results")

    def workers(self) -> list[dict[str, Any]]:
        """What each run's record tells of the process that trained it, in the order of paths."""
        paths = sorted(self.root.rglob("results/*/runs/**/metrics.json"))
        return [json.loads(path.read_text())["worker"] for path in paths]

    def wait_for(self, text: str, logs: int = 1) -> None:
        """Until so many training jobs say something."""
        wait_until(lambda: sum(text in log for log in self.logs()) == logs, f"it says {text}")


Make = Callable[..., Cluster]


@pytest.fixture(scope="session")
def clusters() -> list[Cluster]:
    """What `make` has made for the test that runs."""
    return []


@pytest.fixture(autouse=True)
def nothing_goes_on(clusters: list[Cluster]) -> Iterator[None]:
    yield
    for cluster in clusters:
        cluster.stop()
    clusters.clear()


@pytest.fixture(scope="session")
def make(
    tmp_path_factory: pytest.TempPathFactory, data_root: Path, clusters: list[Cluster]
) -> Make:
    """A small project: experiments that replace settings or axes of one, and variables."""

    def make_cluster(
        *experiments: dict[str, Any], execution: object = None, **variables: str
    ) -> Cluster:
        # A name of its own: Slurm's log may know jobs of an earlier pytest in `cluster0`.
        root = tmp_path_factory.mktemp(f"cluster-{uuid4().hex}")
        copy_project(root)
        shutil.copytree(data_root, root / "data")
        tier = {
            "tier": "tiny",
            "experiments": [
                {"name": f"part{k}"} | each | {"settings": SETTINGS | each.get("settings", {})}
                for k, each in enumerate(experiments)
            ],
            "figures": [],
            "execution": execution or {},
        }
        text = yaml.safe_dump(json.loads(json.dumps(tier)), sort_keys=False)
        (root / "config" / "paper.yaml").write_text(text)
        clusters.append(Cluster(root, variables))
        return clusters[-1]

    return make_cluster


def trained_here(cluster: Cluster, runs_per_job: int, folder: Path) -> dict[str, object]:
    """The outcome of the same packs, trained in this process: its threads are those of jobs."""
    tier = load_tier(cluster.root / "config" / "paper.yaml")
    layout = Layout(folder / "results" / tier.tier)
    resources = Resources(CPU, cluster.root / "data", folder / ".vaebench", 10)
    for experiment in tier.experiments:
        for rule in job_rules(experiment, runs_per_job):
            for pack in (pack for job in rule.jobs for pack in job.blocks):
                targets = targets_of(layout, experiment.name, pack.runs)
                assert train_targets(pack.label, targets, resources)
    return outcome(folder / "results")


@pytest.fixture(scope="session")
def epochs_in(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], int]:
    """How many epochs of the packs below this machine trains in so many seconds, undisturbed."""
    few = 100
    cluster = make(long(few, 2))

    def time_once(attempt: int) -> float:
        started = time.monotonic()
        trained_here(cluster, 2, tmp_path_factory.mktemp(f"speed{attempt}"))
        return time.monotonic() - started

    # The faster of two, since other work on this machine can only slow one down.
    each = min(map(time_once, range(2))) / few
    return lambda seconds: int(seconds / each)


def long(epochs: int, *latent_dims: int) -> dict[str, Any]:
    """An experiment of a pack of two runs for each latent dimension."""
    return {
        "settings": {"objective": "bilbo", "epochs": epochs},
        "axes": {"latent_dim": list(latent_dims), "seed": [0, 1]},
    }
