"""Training the runs of a cell: what the workflow's rule and the command line both call."""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from vaebench.data import prepared
from vaebench.errors import UserError
from vaebench.evaluation.arrays import to_npz
from vaebench.files import digest_bytes, digest_file, write_atomically
from vaebench.progress import TrainingProgress, say
from vaebench.provenance import run_hash
from vaebench.records import (
    Digests,
    RunRecord,
    Timing,
)
from vaebench.settings import Settings
from vaebench.sources import source_digest
from vaebench.training.finish import measure
from vaebench.training.loop import Pack, TrainingState, advance, begin
from vaebench.training.store import (
    FinishedRun,
    get_run,
    has_run,
    locked,
    put_run,
    restore_state,
    save_state,
    state_path,
)
from vaebench.training.worker import describe_worker


@dataclass(frozen=True)
class Target:
    """A run that is wanted, and where its files go."""

    settings: Settings
    folder: Path
    """Gets metrics.json and arrays.npz."""
    weights: Path
    """Gets model.safetensors."""


@dataclass(frozen=True)
class Resources:
    """How and where to train; none of it enters a run's hash."""

    device: torch.device
    data: Path
    """The folder with `prepared/`."""
    store: Path
    save_every: int
    deadline: float | None = None
    """A time of `time.monotonic()` at which training saves its state and stops."""


def train_targets(label: str, targets: Sequence[Target], resources: Resources) -> bool:
    """Train what is missing of `targets`, as one pack, and put every run's files in place.

    Finished runs are taken from the store. A pack that was stopped goes on where it stood.

    Args:
        label: names the work for the person who watches.
        targets: runs that differ only on axes that can be packed.
        resources: how and where to train.

    Returns:
        Whether all are in place; False if the deadline or a signal came first, with the state
        saved.

    Raises:
        UserError: the data are missing or do not fit, or a saved state is damaged.
    """
    hashes = [run_hash(target.settings, resources.data) for target in targets]
    missing = [k for k, value in enumerate(hashes) if not has_run(resources.store, value)]
    with locked(resources.store, [hashes[k] for k in missing]):
        # Whoever held the locks before may have finished some of them.
        missing = [k for k in missing if not has_run(resources.store, hashes[k])]
        restored = len(targets) - len(missing)
        if restored:
            say(f"[{label}] {restored} of {len(targets)} runs are trained: taken as they are")
        if missing:
            runs = [targets[k].settings for k in missing]
            if not _train(label, runs, [hashes[k] for k in missing], resources):
                return False
    for target, value in zip(targets, hashes, strict=True):
        _publish(get_run(resources.store, value), target)
    return True


def _train(
    label: str, runs: Sequence[Settings], hashes: Sequence[str], resources: Resources
) -> bool:
    """Train runs as one pack into the store; False if it was stopped, with its state saved."""
    data = prepared.load(resources.data / "prepared", runs[0].dataset)
    if runs[0].batch_size > len(data.train_images):
        raise UserError(
            f"batch_size {runs[0].batch_size} exceeds the {len(data.train_images)} training images "
            f"of '{runs[0].dataset}': choose a smaller one"
        )
    pack = Pack.of(runs, data, resources.device)
    state = begin(pack)
    path = state_path(resources.store, hashes)
    if restore_state(path, state):
        say(f"[{label}] continues after step {state.step} of {pack.steps}")
    unit, size = ("epoch", 1) if runs[0].steps is None else ("step", pack.stretch)
    length = f"{pack.steps} steps" if runs[0].epochs is None else f"{runs[0].epochs} epochs"
    seeds = "1 run" if len(runs) == 1 else f"{len(runs)} runs together"
    say(f"[{label}] training {seeds}, {length}, on {resources.device.type}")

    shown = TrainingProgress(label, pack.stretches, unit, size)
    with _stop_signals() as stopped, shown as progress:

        def should_stop() -> bool:
            late = resources.deadline is not None and time.monotonic() > resources.deadline
            return late or stopped.is_set()

        def after_stretch(number: int) -> None:
            progress.stretch(number, state.step / state.seconds, _mean_objective(state))
            # A stretch of given steps is a twentieth of them, so every one is worth saving.
            due = unit == "step" or number % resources.save_every == 0
            if due and number < pack.stretches:
                save_state(path, state)

        complete = advance(pack, state, should_stop, after_stretch)
        # Also when complete: whatever goes wrong in evaluating must not cost the training.
        save_state(path, state)
        if complete:
            for run in _finish(pack, state, data, hashes, resources.data / "prepared"):
                put_run(resources.store, run)
            path.unlink()
        else:
            say(f"[{label}] stopped after step {state.step} of {pack.steps}; its state is saved")
    return complete


def _finish(
    pack: Pack,
    state: TrainingState,
    data: prepared.Arrays,
    hashes: Sequence[str],
    data_folder: Path,
) -> Iterator[FinishedRun]:
    """Evaluate a trained pack; yields each run's record, arrays and weights."""
    worker = describe_worker(pack.train_images.device, len(pack.runs))
    lock = Path("requirements.lock")
    environment = digest_file(lock) if lock.exists() else None
    for k, measured in enumerate(measure(pack, state, data)):
        settings = pack.runs[k]
        weights = save(
            {name: stack[k].detach().cpu().clone() for name, stack in state.parameters.items()}
        )
        npz = to_npz(measured.arrays)
        record = RunRecord(
            run=settings,
            run_hash=hashes[k],
            status="completed" if state.diverged[k] is None else "diverged",
            diverged_step=state.diverged[k],
            final=measured.final,
            history=state.history[k],
            timing=Timing(seconds=state.seconds, steps_per_second=state.step / state.seconds),
            worker=worker,
            digests=Digests(
                settings=settings.digest,
                sources=source_digest(settings),
                data=prepared.data_digest(data_folder, settings.dataset),
                environment=environment,
                weights=digest_bytes(weights),
                arrays=digest_bytes(npz),
            ),
        )
        yield FinishedRun(record, npz, weights)


def _publish(run: FinishedRun, target: Target) -> None:
    """Put a finished run's files where they are wanted, its record last; leaves equal ones be."""
    contents = {} if run.weights is None else {target.weights: run.weights}
    contents |= {
        target.folder / "arrays.npz": run.arrays,
        target.folder / "metrics.json": run.record.to_json().encode(),
    }
    for path, content in contents.items():
        if not path.exists() or path.read_bytes() != content:
            write_atomically(path, content)


def _mean_objective(state: TrainingState) -> float | None:
    last = [points[-1].objective for points in state.history if points]
    known = [value for value in last if value is not None]
    return sum(known) / len(known) if known else None


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM, SIGINT or SIGUSR1 sets while the block runs."""
    event = threading.Event()
    handlers: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            handlers[number] = signal.signal(number, lambda *_: event.set())
    try:
        yield event
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
