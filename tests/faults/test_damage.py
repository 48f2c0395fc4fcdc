"""Full disks, folders that cannot be written, flipped bytes, two at once."""

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.conftest import Count
from tests.faults.harness import LONG, Command, outcome, vaebench
from tests.faults.test_kills import train
from tests.tiers import make_finished_tier
from tests.workflow.project import copy_project

pytestmark = pytest.mark.faults


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mounted)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


def test_a_disk_that_fills_while_training_costs_nothing_but_the_wait(
    tmp_path: Path, disk: Path, data_root: Path, count: Count
) -> None:
    (tmp_path / "whole").mkdir()
    train(tmp_path / "whole", data_root, epochs=6, batch_size=100).finish()
    command = train(disk, data_root, epochs=6, batch_size=100)
    text = command.fail()  # the second state does not fit beside the first
    assert "No space left on device" in text
    states = list((disk / ".vaebench" / "states").iterdir())
    assert [path.suffix for path in states] == [".state"]
    assert "No space left on device" in command.fail()
    count("full disks", 2)
    remount(disk, "size=64m")
    assert "continues after step" in command.finish()
    assert outcome(disk / "out") == outcome(tmp_path / "whole" / "out")


def test_a_disk_that_fills_while_preparing_leaves_nothing_that_is_taken_for_data(
    disk: Path, data_root: Path, count: Count
) -> None:
    remount(disk, "size=1m")
    prepare = vaebench(disk, "data", "digits")
    assert "No space left on device" in prepare.fail()
    assert not (disk / "data" / "prepared" / "digits" / "dataset.json").exists()
    count("full disks", 1)
    remount(disk, "size=64m")
    prepare.finish()
    there, expected = disk / "data" / "prepared", data_root / "prepared"
    assert outcome(there / "digits") == outcome(expected / "digits")


def test_results_that_cannot_be_written_are_trained_once(
    tmp_path: Path, disk: Path, data_root: Path, count: Count
) -> None:
    """What was trained waits in the store until there is a place for it."""
    remount(disk, "size=64m")
    command = train(tmp_path, data_root, epochs=2, batch_size=100)
    there = Command([*command.arguments[:-1], str(disk / "out")], tmp_path, command.environment)
    remount(disk, "ro")
    assert "Read-only file system" in there.fail()
    count("read-only folders", 1)
    remount(disk, "rw")
    assert "2 of 2 runs are trained already" in there.finish()
    assert len(outcome(disk / "out")) == 6


def test_what_does_not_fit_on_a_full_disk_is_named(
    tmp_path: Path, disk: Path, data_root: Path, count: Count
) -> None:
    """The lock of a training, and an archive: neither tells its place by itself."""
    small = make_finished_tier(tmp_path / "tier", data_root)
    (disk / "fill").write_bytes(bytes(4 * 2**20 - 16 * 1024))
    with suppress(OSError), (disk / "rest").open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 512)
    training = train(disk, data_root, epochs=1, batch_size=100)
    assert "locks/" in training.fail()
    for unpacked, there in ([], disk / "a.tar"), (["--unpacked"], disk / "a"):
        export = vaebench(
            small.parent.parent, "export", "--tier", "small", "--out", str(there), *unpacked
        )
        text = export.fail()
        assert "No space left on device" in text
        assert str(disk) in text
    count("full disks", 3)


def test_a_workflow_whose_results_cannot_be_written_says_so(
    tmp_path: Path, disk: Path, count: Count
) -> None:
    remount(disk, "size=64m")
    project = copy_project(tmp_path / "disk")
    project.results.mkdir(parents=True)
    remount(disk, "ro")
    done = project.snakemake()
    assert done.returncode != 0
    assert "Read-only file system" in done.stdout + done.stderr
    count("read-only folders", 1)


def flipped(path: Path, chance: random.Random) -> bytes:
    """Change one bit of a file; returns what it was."""
    before = path.read_bytes()
    damaged = bytearray(before)
    damaged[chance.randrange(len(before))] ^= 1 << chance.randrange(8)
    path.write_bytes(damaged)
    return before


def test_a_flipped_bit_is_never_accepted(tmp_path: Path, data_root: Path, count: Count) -> None:
    """In a finished run of the store, and in an archive: refused, or the very same results."""
    chance = random.Random(0)
    command = train(tmp_path, data_root, epochs=1, batch_size=300)
    command.finish()
    expected = outcome(tmp_path / "out")
    stored = sorted(p for p in (tmp_path / ".vaebench" / "runs").rglob("*") if p.is_file())
    assert {p.name for p in stored} == {"metrics.json", "arrays.npz", "model.safetensors"}
    flips = 0
    for path in stored if LONG else stored[:3]:
        shutil.rmtree(tmp_path / "out")
        before = flipped(path, chance)
        text = command.fail()
        assert str(path.parent.relative_to(tmp_path)) in text
        assert "--start-over" in text
        assert not (tmp_path / "out").exists() or outcome(tmp_path / "out").items() <= (
            expected.items()
        )
        path.write_bytes(before)
        command.finish()
        flips += 1
    assert outcome(tmp_path / "out") == expected
    root = make_finished_tier(tmp_path / "project", data_root)
    export = vaebench(root.parents[1], "export", "--tier", "results/small", "--weights",
                      "--out", "small.tar")  # fmt: skip
    export.finish()
    archive = root.parents[1] / "small.tar"
    for k in range(12 if LONG else 2):
        there = tmp_path / f"elsewhere{k}"
        there.mkdir()
        before = flipped(archive, chance)
        process = vaebench(there, "import", str(archive)).start()
        text = process.communicate()[0]
        archive.write_bytes(before)
        assert "Traceback" not in text
        # Padding between members means nothing; every other bit does.
        if process.returncode == 0:
            assert outcome(there / "results" / "small") == outcome(root)
        else:
            assert not (there / "results" / "small").exists()
        flips += 1
    count("flipped bits", flips)


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What a process says up to the line with these words."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


def test_two_trainings_of_one_pack_at_once_train_it_once(
    tmp_path: Path, data_root: Path, count: Count
) -> None:
    command = train(tmp_path, data_root, epochs=60, batch_size=20)
    first = command.start()
    texts = [read_until(first, "training 2 runs together"), ""]
    os.killpg(first.pid, signal.SIGSTOP)
    try:
        second = command.start()
        texts[1] = read_until(second, "waiting: ")
    finally:
        os.killpg(first.pid, signal.SIGCONT)
    for k, process in enumerate((first, second)):
        texts[k] += process.communicate(timeout=300)[0]
    assert [first.returncode, second.returncode] == [0, 0], texts
    assert sum("training 2 runs together" in text for text in texts) == 1
    assert sum("waiting: " in text for text in texts) == 1
    assert len(outcome(tmp_path / "out")) == 6
    count("pairs at once", 1)


def test_two_workflows_at_once_end_in_whole_results(
    tmp_path: Path, data_root: Path, count: Count
) -> None:
    project = copy_project(tmp_path, data_root)
    command = Command(project.command(), project.root, project.environment())
    both = [command.start(), command.start()]
    texts = [process.communicate(timeout=600)[0] for process in both]
    assert 0 in [process.returncode for process in both], texts
    for process, text in zip(both, texts, strict=True):
        assert process.returncode == 0 or "Directory cannot be locked" in text, text
    assert project.vaebench("verify", "--weights").returncode == 0
    count("pairs at once", 1)
