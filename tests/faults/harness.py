"""Killing real processes with real signals, and starting them again until they end."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaebench.files import digest_file
from vaebench.runs.record import read_record

LONG = os.environ.get("VAEBENCH_FAULTS") == "long"
PATIENCE = 1800
"""The seconds that a command may take, on a machine with much other work."""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Command:
    """A command, where it runs, and a little randomness that a failure's name repeats."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.arguments,
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self) -> str:
        """Run it to its end; returns what it printed."""
        process = self.start()
        text = process.communicate(timeout=PATIENCE)[0]
        assert process.returncode == 0, text
        return text

    def fail(self) -> str:
        """Run it to an end that has to be a failure without a traceback; returns what it said."""
        process = self.start()
        text = process.communicate(timeout=PATIENCE)[0]
        assert process.returncode != 0, text
        assert "Traceback" not in text, text
        return text


def vaebench(folder: Path, *arguments: str) -> Command:
    """A command of the package, one thread each."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return Command([sys.executable, "-m", "vaebench", *arguments], folder, environment)


def kill_at_random(
    command: Command,
    kills: int,
    seed: int,
    between: Callable[[], None] = lambda: None,
    whole_group: bool = True,
    longest: float = 8.0,
    afresh: Callable[[], None] = lambda: None,
) -> int:
    """Start a command again and again, each time killed at a random moment; then let it end.

    Args:
        command: what is killed.
        kills: how often it is to be still running then. A command that ends sooner is started
            again.
        seed: of the random moments.
        between: called after each kill, to look at what is there.
        whole_group: whether the children get the signal too; else they become orphans.
        longest: the seconds within which it is killed. They get fewer if it ends sooner.
        afresh: called after it has ended by itself. It may remove the results, so that later kills
            find something to do.

    Returns:
        How often it was still running when it was killed: `kills`.
    """
    chance = random.Random(seed)
    started = time.monotonic()
    hit = 0
    while hit < kills:
        process = command.start()
        time.sleep(chance.uniform(0.05, longest))
        number = chance.choice(SIGNALS)
        if process.poll() is None:
            hit += 1
            (os.killpg if whole_group else os.kill)(process.pid, number)
        else:
            longest = max(0.5, longest * 0.7)  # it ends sooner than that
        process.communicate(timeout=PATIENCE)
        between()
        if process.returncode == 0:
            afresh()
        assert time.monotonic() - started < 6000
    command.finish()
    return hit


def outcome(folder: Path) -> dict[str, object]:
    """What has to be equal, however often it was interrupted: weights, arrays, numbers."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix in (".safetensors", ".npz", ".npy"):
            found[name] = digest_file(path)
        elif path.name == "metrics.json":
            record = read_record(path)
            found[name] = (record.run_hash, record.final, record.history, record.digests)
    return found


def leftovers(folder: Path) -> list[Path]:
    """What writers that were killed left behind."""
    return list(folder.rglob("*.part"))
