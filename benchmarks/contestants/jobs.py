"""Packs side by side, a process and a thread each, as the workflow trains them.

Arguments: ignored, latent dimension, runs of a pack, packs, images, device.
"""

import subprocess
import sys
from pathlib import Path

from turns import take_turns


def main() -> None:
    latent_dim, runs, packs, images, device = sys.argv[2:7]
    ours = str(Path(__file__).with_name("ours.py"))
    workers = [
        subprocess.Popen(
            [sys.executable, ours, "float32", latent_dim, runs, "1", images, device],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(int(packs))
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
