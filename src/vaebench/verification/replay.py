"""Trains runs of a tier again from their settings, and compares what comes out.

Digests show that files fit each other. Only this shows that the code gives these results.
"""

import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vaebench.data.prepared import data_digest
from vaebench.errors import UserError
from vaebench.execution.session import Resources, Target, train_targets
from vaebench.files import digest_file
from vaebench.paths import Layout
from vaebench.runs.record import RunRecord, Worker, read_record
from vaebench.runs.sources import accepted_sources

TOLERANCE = 0.01
"""The largest difference of a metric, as a share of it, of a run that another machine trained. The
rounding of a sum changes with processor, threads and pack, and training amplifies it."""
METRICS = {"elbo": 0.05, "rate": 0.05, "distortion": 0.05, "mse": 1e-4}
"""The metrics that are compared, each with a difference that is tolerated in any case."""
ALIKE = (
    "device",
    "processor",
    "threads",
    "libraries",
    "packed_runs",
    "deterministic",
    "arithmetic",
)
"""What a machine and a training have in common that give the same bits."""
NEVER = 10**9


@dataclass(frozen=True)
class Replayed:
    """A run that was trained again."""

    name: str
    """Its folder below runs/."""
    same_bits: bool
    """Whether weights and arrays are the same to the last bit."""
    other: tuple[str, ...]
    """In what the training differs from that of the record, of `ALIKE`."""
    difference: float
    """The largest difference of a metric, as a share of what is tolerated."""
    problem: str | None
    """What is wrong. None if the run came out again."""


def choose_runs(layout: Layout, count: int, seed: int | None) -> dict[str, RunRecord]:
    """The completed runs that are trained again: the cheapest, or those that a seed draws.

    Args:
        layout: the tier.
        count: how many. All runs if it has fewer.
        seed: draws the runs from all of them. None: those with the least seconds of training, each
            with its share in its pack.

    Raises:
        UserError: no run of the tier is completed.
    """
    folder = layout.root / "runs"
    records = {
        path.parent.relative_to(folder).as_posix(): read_record(path)
        for path in sorted(folder.rglob("metrics.json"))
    }
    completed = {name: one for name, one in records.items() if one.status == "completed"}
    if not completed:
        raise UserError(f"{layout.root}: no run is completed, so none can be trained again")
    if seed is None:
        chosen = sorted(completed, key=lambda name: (_cost(completed[name]), name))[:count]
    else:
        names = sorted(completed)
        chosen = random.Random(seed).sample(names, min(count, len(names)))
    return {name: completed[name] for name in chosen}


def replay(runs: dict[str, RunRecord], device: torch.device, data: Path) -> Iterator[Replayed]:
    """Train each of these runs alone, from its settings, and compare it with its record.

    The results are kept nowhere.

    Args:
        runs: the records, by their folders below runs/.
        device: where to train.
        data: the folder with `prepared/`.

    Raises:
        UserError: a run cannot be trained by this checkout, the data are missing or are others, or
            training was stopped.
    """
    for name, record in runs.items():
        _check_trainable(name, record, data)
        torch.set_num_threads(max(1, min(record.worker.threads, os.cpu_count() or 1)))
        with tempfile.TemporaryDirectory(prefix="vaebench-replay-") as folder:
            own = Path(folder)
            target = Target(record.run, own / "run", own / "weights.safetensors")
            steps = "always" if "compiler" in record.worker.arithmetic else "never"
            resources = Resources(device, data, own / "store", save_every=NEVER, steps=steps)
            if not train_targets(f"again: {name}", [target], resources):
                raise UserError(f"the training of {name} was stopped")
            made = read_record(target.folder / "metrics.json")
            arrays = digest_file(target.folder / "arrays.npz")
        yield compare(name, record, made, arrays, _other(record.worker, made.worker))


def compare(
    name: str, record: RunRecord, made: RunRecord, arrays: str, other: Sequence[str]
) -> Replayed:
    """Compare a run that was trained again with its record.

    Args:
        name: of the run.
        record: that is to be checked.
        made: of the new training.
        arrays: the digest of the new arrays.
        other: in what the trainings differ.
    """
    bits = (made.digests.weights, arrays) == (record.digests.weights, record.digests.arrays)
    shares = {
        f"{part}.{metric}": _share(one, two, least)
        for part in ("train", "test")
        for metric, least in METRICS.items()
        for one, two in [(getattr(getattr(x.final, part), metric) for x in (record, made))]
    }
    worst = max(shares, key=lambda key: shares[key])
    problem = None
    if made.status != record.status:
        problem = f"its record says {record.status}, and trained again it is {made.status}"
    elif shares[worst] > 1:
        part, _, metric = worst.partition(".")
        values = [getattr(getattr(x.final, part), metric) for x in (record, made)]
        problem = f"final.{worst} is {values[0]}, and trained again {values[1]}"
    elif not bits and not other:
        problem = "its weights are others, though the machine and the training are alike"
    return Replayed(name, bits, tuple(other), shares[worst], problem)


def _share(one: float | None, two: float | None, least: float) -> float:
    """The difference of two values as a share of what is tolerated."""
    if one is None or two is None:
        return 0.0 if one is two else float("inf")
    return abs(one - two) / max(TOLERANCE * abs(one), least)


def _cost(record: RunRecord) -> float:
    return record.timing.seconds / record.worker.packed_runs


def _other(recorded: Worker, here: Worker) -> list[str]:
    return [name for name in ALIKE if getattr(recorded, name) != getattr(here, name)]


def _check_trainable(name: str, record: RunRecord, data: Path) -> None:
    if record.digests.sources not in accepted_sources(record.run):
        commit = (record.worker.commit or "unknown")[:12]
        raise UserError(
            f"{name} cannot be trained again here: other sources than this checkout's made it. "
            f"Check out their commit ({commit})"
        )
    dataset = record.run.dataset
    if data_digest(data / "prepared", dataset) != record.digests.data:
        raise UserError(f"{name} cannot be trained again here: its data are not this '{dataset}'")
