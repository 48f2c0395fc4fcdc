"""Kills at random moments, and at every moment of writing: the end is the same bytes."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.faults.conftest import AT_RANDOM, Count
from tests.faults.harness import (
    LONG,
    Command,
    kill_at_random,
    leftovers,
    outcome,
    vaebench,
)
from tests.tiers import make_finished_tier
from tests.workflow.project import Project, copy_project
from vaebench.cli.options import STOPPED
from vaebench.data.prepared import load
from vaebench.paths import Layout
from vaebench.provenance.verify import verify

pytestmark = pytest.mark.faults

TRAIN = (
    *("train", "--dataset", "digits", "--objective", "bilbo", "--likelihood", "bernoulli"),
    *("--latent-dim", "2", "--seeds", "0,1", "--hidden-units", "64", "--threads", "1"),
    *("--save-every", "1"),
)


def train(folder: Path, data_root: Path, epochs: int, batch_size: int) -> Command:
    sizes = ("--epochs", str(epochs), "--batch-size", str(batch_size))
    return vaebench(folder, *TRAIN, *sizes, "--data", str(data_root), "--out", "out")


@pytest.mark.parametrize("seed", range(5 if LONG else 1))
def test_training_killed_at_random_ends_bit_equal(
    tmp_path: Path, data_root: Path, seed: int, count: Count
) -> None:
    folders = tmp_path / "whole", tmp_path / "killed"
    for folder in folders:
        folder.mkdir()
    whole, killed = (train(folder, data_root, epochs=60, batch_size=20) for folder in folders)
    started = time.monotonic()
    whole.finish()
    longest = min(15.0, time.monotonic() - started)

    def remove() -> None:
        for name in ("out", ".vaebench"):
            shutil.rmtree(folders[1] / name)

    hit = kill_at_random(killed, 16 if LONG else 3, seed, longest=longest, afresh=remove)
    count(f"{AT_RANDOM} training", hit)
    assert outcome(folders[1] / "out") == outcome(folders[0] / "out")
    assert not any((folders[1] / ".vaebench" / "states").glob("*.state"))
    assert not leftovers(folders[1] / ".vaebench")


def test_a_terminal_that_is_closed_saves_what_was_trained(
    tmp_path: Path, data_root: Path, count: Count
) -> None:
    """Closing it sends SIGHUP, and whatever is written to it afterwards fails."""
    command = train(tmp_path, data_root, epochs=80, batch_size=100)
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # These tests may run under nohup.
        os.chdir(tmp_path)
        os.execve(sys.executable, [*command.arguments], dict(command.environment))
    states = tmp_path / ".vaebench" / "states"
    while not list(states.glob("*.state")):
        os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == STOPPED
    assert "continues after step" in command.finish()
    count("closed terminals", 1)


def test_training_killed_at_every_write_ends_bit_equal(
    tmp_path: Path, data_root: Path, count: Count
) -> None:
    """Two epochs: every fsync, rename and removal between the first state and the last file."""
    (tmp_path / "whole").mkdir()
    train(tmp_path / "whole", data_root, epochs=2, batch_size=300).finish()
    expected = outcome(tmp_path / "whole" / "out")
    moment = 1 if LONG else 5
    kills = 0
    while True:
        folder = tmp_path / f"killed{moment}"
        folder.mkdir()
        command = train(folder, data_root, epochs=2, batch_size=300)
        breaker = [sys.executable, str(Path(__file__).with_name("kill_at_write.py")), str(moment)]
        done = subprocess.run(
            [*breaker, *command.arguments[3:]], cwd=folder, env=command.environment,
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        kills += 1
        command.finish()
        assert outcome(folder / "out") == expected, f"killed at write {moment}"
        assert not leftovers(folder / ".vaebench")
        shutil.rmtree(folder)
        moment += 1 if LONG else 17
    assert kills > (40 if LONG else 1)
    count("kills of training, at each write", kills)


def test_preparing_killed_at_random_ends_bit_equal(
    tmp_path: Path, data_root: Path, count: Count
) -> None:
    prepare = vaebench(tmp_path, "data", "digits")

    def nothing_half_done() -> None:
        if (tmp_path / "data" / "prepared" / "digits" / "dataset.json").exists():
            load(tmp_path / "data" / "prepared", "digits")

    hit = kill_at_random(prepare, 40 if LONG else 3, 0, nothing_half_done)
    count(f"{AT_RANDOM} preparing", hit)
    there = tmp_path / "data" / "prepared"
    assert outcome(there / "digits") == outcome(data_root / "prepared" / "digits")
    assert not leftovers(there)


def test_collecting_drawing_and_judging_killed_at_random_end_in_the_same_bytes(
    tmp_path: Path, data_root: Path, count: Count
) -> None:
    root = make_finished_tier(tmp_path / "project", data_root)
    expected = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    values = str(Path(__file__).parents[2] / "config" / "paper_values.yaml")
    there = ("--tier", "results/small")
    hit = 0
    for seed, arguments in enumerate(
        (
            ("collect", "--tier", "results/small/config.yaml"),
            ("draw", "fig01", "fig05", "fig13", *there),
            ("table", "posterior_variance", *there, "--paper-values", values),
            ("claims", *there, "--paper-values", values),
            ("report", *there),
            ("manifest", *there, "--paper-values", values),
        )
    ):
        if LONG or seed < 2:
            hit += kill_at_random(
                vaebench(tmp_path / "project", *arguments), 8 if LONG else 2, seed
            )
    count(f"{AT_RANDOM} collecting, drawing and judging", hit)
    vaebench(tmp_path / "project", "manifest", *there, "--paper-values", values).finish()
    assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file()} == expected
    assert verify(Layout(root)).problems == []


@pytest.mark.parametrize("orphans", [False, True])
def test_the_workflow_killed_at_random_ends_bit_equal(
    tmp_path: Path, data_root: Path, orphans: bool, count: Count
) -> None:
    """The whole group gets the signal, or snakemake alone, whose jobs then race its successor."""
    if orphans and not LONG:
        pytest.skip("in the long form alone: make faults")
    projects = []
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        projects.append(copy_project(tmp_path / name, data_root))
    whole, killed = projects
    for project in projects:
        lengthen(project)
    table = "tables/posterior_variance.csv"
    whole.jobs("--", f"results/tiny/{table}")
    command = Command(killed.command(), killed.root, killed.environment())
    hit = kill_at_random(
        command, 16 if LONG else 2, 1, lambda: no_corrupt_output(killed), whole_group=not orphans
    )
    count(f"{AT_RANDOM} snakemake", hit)
    assert outcome(killed.results / "runs") == outcome(whole.results / "runs")
    assert outcome(killed.results / "weights") == outcome(whole.results / "weights")
    assert (killed.results / table).read_bytes() == (whole.results / table).read_bytes()
    assert verify(Layout(killed.results)).problems == []
    assert "Nothing to be done" in killed.snakemake().stdout + killed.snakemake().stderr


def lengthen(project: Project) -> None:
    """Train longer, with a state after each epoch; in the long form, measure samples too."""
    path = project.root / "tiny.yaml"
    values = yaml.safe_load(path.read_text())
    values["experiments"][0]["settings"]["epochs"] = 60
    values["experiments"][0]["sample_quality"] = LONG
    values["execution"] = {"save_every": 1}
    path.write_text(yaml.safe_dump(values))


def no_corrupt_output(project: Project) -> None:
    """Whatever is there is whole, at any moment."""
    outcome(project.results)  # reads and checks every record
