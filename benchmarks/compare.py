"""Training steps a second: this project against plain loops, vmap, pythae, JAX and the ceilings.

All contestants train the paper's MNIST network (batch 300, ELBO, Bernoulli) on random grey images
of MNIST's size; speed does not depend on what they show. Each is a process of its own, they work
one at a time and in turns, so that ratios hold on a noisy machine, and stand still in between. What
is counted is run-steps: a step of a pack of R runs counts R. Prints tables in Markdown.

`products` are the matrix products of a step alone, at the same shapes, the fastest of batched,
separate and oneDNN's; `large` is the same amount of arithmetic in large square products.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import torch

from vaebench.execution.device import choose_device, describe_device

CONTESTANTS = Path(__file__).with_name("contestants")
BATCH = 300
REFERENCE = "plain loop, data in memory"


@dataclass
class Contestant:
    """A process that takes turns."""

    name: str
    runs: int
    worker: subprocess.Popen[str]
    seconds: list[float] = field(default_factory=list)
    """Of a run-step, in each turn."""
    memory: float = 0.0
    """Peak, in MiB."""

    def turn(self, steps: int) -> None:
        """Let it work, and note how long it took."""
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        self.worker.stdin.write("\n")
        self.worker.stdin.flush()
        line = self.worker.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended; to see why: {self.worker.args!r}")
        answer = json.loads(line)
        self.seconds.append(answer["seconds"] / (steps * self.runs))
        self.memory = answer["memory"]

    def end(self) -> None:
        """No more turns."""
        self.worker.communicate()


def start(options: argparse.Namespace, latent_dim: int, threads: int) -> list[Contestant]:
    """All contestants of one table."""
    many = options.runs[len(options.runs) // 2]
    wanted = [
        (f"vaebench, R = {runs}", "ours", "float32", runs, sys.executable) for runs in options.runs
    ]
    if options.device == "cpu":
        wanted.append((f"vaebench, R = {many}, compiled", "ours", "compiled", many, sys.executable))
    if threads > 1 and options.device == "cpu":
        jobs = f"vaebench, {threads} jobs of R = {many}"
        wanted.append((jobs, "jobs", "-", many, sys.executable))
    wanted += [
        (f"vaebench, R = {many}, {precision}", "ours", precision, many, sys.executable)
        for precision in options.precisions
    ]
    wanted += [
        ("plain loop, DataLoader", "plain", "dataloader", 1, sys.executable),
        (REFERENCE, "plain", "memory", 1, sys.executable),
        (f"torch.func.vmap, R = {many}", "plain", "vmap", many, sys.executable),
    ]
    if options.pythae:
        wanted.append(("pythae's trainer", "pythae_trainer", "-", 1, options.pythae))
    if options.jax:
        wanted.append((f"JAX, R = {many}", "jax_scan", "-", many, options.jax))
    kinds = ["batched", "separate", "large"] + ["onednn"] * (options.device == "cpu")
    wanted += [(f"products, {kind}", "products", kind, many, sys.executable) for kind in kinds]
    return [
        Contestant(
            name,
            runs * threads if file == "jobs" else runs,
            subprocess.Popen(
                [
                    python, str(CONTESTANTS / f"{file}.py"), kind,
                    *map(str, (latent_dim, runs, threads, options.images)), options.device,
                ],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                encoding="utf-8",
                env=os.environ | {"PYTHONPATH": str(CONTESTANTS.parent)},  # for `packs`
            ),
        )
        for name, file, kind, runs, python in wanted
    ]  # fmt: skip


def ratio(numerators: list[float], denominators: list[float]) -> float:
    """The median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def table(contestants: list[Contestant]) -> str:
    """Markdown, the fastest first."""
    by_name = {one.name: one for one in contestants}
    plain = by_name[REFERENCE].seconds
    products = [one for one in contestants if one.name.startswith("products")]
    ceiling = min(
        (one for one in products if "large" not in one.name),
        key=lambda one: statistics.median(one.seconds),
    )
    large = by_name["products, large"]
    lines = [
        f"| | run-steps/s | least | most | × plain loop | of {ceiling.name} | of large | MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in sorted(contestants, key=lambda one: statistics.median(one.seconds)):
        rates = sorted(1 / seconds for seconds in one.seconds)
        lines.append(
            f"| {one.name} | {statistics.median(rates):.0f} | {rates[0]:.0f} | {rates[-1]:.0f} "
            f"| {ratio(plain, one.seconds):.2f} | {ratio(ceiling.seconds, one.seconds):.0%} "
            f"| {ratio(large.seconds, one.seconds):.0%} | {one.memory:.0f} |"
        )
    return "\n".join(lines)


def tables(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """The heading and the Markdown of a table for each number of dimensions and of threads."""
    steps = options.images // BATCH
    for latent_dim in options.latent_dim:
        for threads in options.threads:
            contestants = start(options, latent_dim, threads)
            for repeat in range(options.repeats + 1):
                for one in contestants:
                    one.turn(steps)
                    if repeat == 0:  # the first round warms up
                        one.seconds.clear()
            for one in contestants:
                one.end()
            threads_text = "1 thread" if threads == 1 else f"{threads} threads"
            yield f"n = {latent_dim}, {threads_text}", table(contestants)


def parser() -> argparse.ArgumentParser:
    """The options, each with a value for whoever gives none."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 5, 20], help="runs in a pack")
    parser.add_argument("--latent-dim", type=int, nargs="+", default=[2, 100])
    parser.add_argument("--threads", type=int, nargs="+", default=[torch.get_num_threads()])
    parser.add_argument("--images", type=int, default=9_000, help="images of a turn")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precisions", nargs="*", default=[], help="others: bfloat16, tf32")
    parser.add_argument("--pythae", metavar="PYTHON", help="a Python that has pythae and torch")
    parser.add_argument("--jax", metavar="PYTHON", help="a Python that has jax")
    return parser


def main() -> None:
    options = parser().parse_args()
    device = choose_device(options.device)
    options.device = device.type
    steps = options.images // BATCH
    print(
        f"{describe_device(device)}; Python {platform.python_version()}, torch "
        f"{version('torch')}; {options.repeats} turns of {steps} steps"
    )
    for heading, markdown in tables(options):
        print(f"\n{heading}\n\n{markdown}", flush=True)


if __name__ == "__main__":
    main()
