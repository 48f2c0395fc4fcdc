"""How a contestant takes its turns: one line in, do the work, one line out.

Imported by workers of any environment, so it needs nothing but Python.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


class Turns:
    """The worker's side. Between `begin` and `end` lies the work of one turn."""

    def __init__(self) -> None:
        self._started = 0.0

    def begin(self) -> None:
        """Wait for the order to work; leaves the process when there is none any more."""
        if not sys.stdin.readline():
            raise SystemExit
        self._started = time.perf_counter()

    def end(self) -> None:
        """Answer with the seconds of the turn and the peak memory of the process in MiB."""
        seconds = time.perf_counter() - self._started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "memory": memory}), flush=True)


@dataclass(frozen=True)
class Task:
    """What all workers are told, in this order."""

    kind: str
    """Of the contestants that a worker knows."""
    latent_dim: int
    runs: int
    threads: int
    images: int
    """In an epoch, which is a turn."""
    device: str

    @staticmethod
    def told() -> "Task":
        """From the command line."""
        kind, latent_dim, runs, threads, images, device = sys.argv[1:]
        return Task(kind, int(latent_dim), int(runs), int(threads), int(images), device)


def take_turns(work: Callable[[], None], wait: Callable[[], None] = lambda: None) -> None:
    """Do the same work in every turn, and wait until the device has done it."""
    turns = Turns()
    while True:
        turns.begin()
        work()
        wait()
        turns.end()
