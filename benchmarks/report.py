"""Measures, and writes the tables of docs/performance.md between their marks.

    python benchmarks/report.py                       # everything: about an hour on a quiet machine
    python benchmarks/report.py starts scale          # some parts alone
    python benchmarks/report.py --short --page FILE   # sizes that say nothing, for a test

A part that is not measured keeps what it has. Each part says on which machine, with which versions
and from which commit it was measured. Contestants that are not installed are left out, and named.
"""

import argparse
import platform
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import compare
import convolution
import measuring
import scale
import starts
import torch

from vaebench.errors import UserError
from vaebench.execution.device import choose_device, describe_device
from vaebench.files import write_atomically

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
SHORT_TRAINING = ("--runs", "1", "--latent-dim", "2", "--images", "300", "--repeats", "1")


def training(options: argparse.Namespace) -> Iterator[str]:
    """Training against plain loops, peers and ceilings."""
    peers = {"pythae": options.pythae, "JAX": options.jax}
    given = [*SHORT_TRAINING, "--threads", "1"] if options.short else ["--threads", "2", "1"]
    given += ["--device", options.device]
    for name, python in peers.items():
        given += [f"--{name.lower()}", python] if python else []
    chosen = compare.parser().parse_args(given)
    chosen.device = choose_device(chosen.device).type
    if missing := [name for name, python in peers.items() if not python]:
        yield f"Left out, since no environment with it was given: {', '.join(missing)}."
    for heading, markdown in compare.tables(chosen):
        yield f"{heading}\n\n{markdown}"


def convolutions(options: argparse.Namespace) -> Iterator[str]:
    """The convolutional network against plain loops and its convolutions alone."""
    device = choose_device(options.device)
    yield convolution.table(1 if options.short else 2, 1 if options.short else 9, device)


def measured(options: argparse.Namespace) -> Iterator[str]:
    """Evidence and quality by the number of runs."""
    yield measuring.table([1] if options.short else [1, 3, 10, 30])


def many(options: argparse.Namespace) -> Iterator[str]:
    """Planning and collecting by the number of runs."""
    yield scale.table([200] if options.short else [200, 1_000, 3_000, 10_000])


def started(_: argparse.Namespace) -> Iterator[str]:
    """Starts of commands."""
    yield starts.table()


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "training": training,
    "convolution": convolutions,
    "measuring": measured,
    "scale": many,
    "starts": started,
}


def marks(part: str) -> tuple[str, str]:
    """The lines around what is written of a part."""
    begin = f"<!-- benchmark {part}: begin; `make benchmark` writes this part -->"
    return begin, f"<!-- benchmark {part}: end -->"


def with_part(text: str, part: str, found: str) -> str:
    """The page with another content between the marks of a part.

    Raises:
        UserError: the page lacks them.
    """
    begin, end = marks(part)
    before, has_begin, rest = text.partition(f"{begin}\n")
    _, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise UserError(f"the page lacks the lines '{begin}' and '{end}'")
    return f"{before}{begin}\n\n{found}\n\n{end}{after}"


def origin(device: str) -> str:
    """The machine, the versions and the commit, in a line."""
    root = Path(__file__).parent
    commit = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    done = subprocess.run(commit, capture_output=True, text=True)
    return (
        f"*{describe_device(choose_device(device))}, Python {platform.python_version()}, torch "
        f"{version('torch')}, commit {done.stdout.strip() or 'unknown'}, "
        f"{datetime.now(UTC).date().isoformat()}*"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all, if none is named")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--short", action="store_true", help="sizes that say nothing, for a test")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pythae", metavar="PYTHON", help="a Python that has pythae and torch")
    parser.add_argument("--jax", metavar="PYTHON", help="a Python that has jax")
    options = parser.parse_args()
    threads = torch.get_num_threads()
    for part in options.parts or PARTS:
        with_part(options.page.read_text("utf-8"), part, "")  # before an hour of work
        found = "\n\n".join([*PARTS[part](options), origin(options.device)])
        torch.set_num_threads(threads)
        write_atomically(
            options.page, with_part(options.page.read_text("utf-8"), part, found).encode()
        )
        print(f"{options.page}: {part}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"report.py: {error}") from None
