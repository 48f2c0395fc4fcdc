"""Packs side by side, a process and a thread each, as the workflow trains them.

As many packs as threads; the kind is ignored.
"""

import subprocess
import sys
from pathlib import Path

from turns import Task, take_turns


def main() -> None:
    task = Task.told()
    ours = str(Path(__file__).with_name("ours.py"))
    workers = [
        subprocess.Popen(
            [
                sys.executable, ours, "float32",
                *map(str, (task.latent_dim, task.runs, 1, task.images)), task.device,
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
        )
        for _ in range(task.threads)
    ]  # fmt: skip

    def all_work() -> None:
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()

    try:
        take_turns(all_work)
    finally:
        for worker in workers:
            worker.communicate()


if __name__ == "__main__":
    main()
