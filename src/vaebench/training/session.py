"""Training the runs of a cell: what the workflow's rule and the command line both call."""

import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from vaebench.data import prepared
from vaebench.errors import UserError
from vaebench.evaluation.arrays import to_npz
from vaebench.files import digest_bytes, digest_file, remove_leftovers, write_atomically
from vaebench.grid import Run
from vaebench.layout import Layout
from vaebench.progress import TrainingProgress, say
from vaebench.provenance import run_hash
from vaebench.records import (
    Digests,
    RunRecord,
    Timing,
)
from vaebench.settings import Settings
from vaebench.sources import source_digest
from vaebench.training.device import hold_memory
from vaebench.training.finish import measure
from vaebench.training.loop import advance
from vaebench.training.pack import Pack, TrainingState, begin
from vaebench.training.state import identity, restore_state, save_state, state_path
from vaebench.training.store import (
    FinishedRun,
    get_run,
    has_run,
    locked,
    release_runs,
    remove_run,
    stage_run,
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


def targets_of(layout: Layout, experiment: str, runs: Iterable[Run]) -> list[Target]:
    """Runs of an experiment with the places of their files in a tier's results."""
    return [
        Target(
            run.settings, layout.run(experiment, run.folder), layout.weights(experiment, run.folder)
        )
        for run in runs
    ]


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
    start_over: bool = False
    """Discard saved states, and finished runs that are damaged, instead of refusing them."""


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
    store = resources.store
    # Locked by settings: a pack's state lies there under its settings, whatever the sources.
    with locked(store, [target.settings.digest for target in targets]):
        if resources.start_over:
            _forget_damaged(store, hashes)
        missing = _missing(store, targets, hashes)
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


def _missing(store: Path, targets: Sequence[Target], hashes: Sequence[str]) -> list[int]:
    """The places of the runs that are still to be trained."""
    missing = [k for k, value in enumerate(hashes) if not has_run(store, value)]
    if not state_path(store, [targets[k].settings for k in missing]).exists():
        # A kill between two releases: these are whole, and their pack's state is gone.
        release_runs(store, [hashes[k] for k in missing])
    return [k for k in missing if not has_run(store, hashes[k])]


def _forget_damaged(store: Path, hashes: Sequence[str]) -> None:
    for value in hashes:
        try:
            if has_run(store, value):
                get_run(store, value)
        except UserError as error:
            say(f"starting over: {str(error).splitlines()[0]}")
            remove_run(store, value)


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
    hold_memory()
    pack = Pack.of(runs, data, resources.device)
    state = begin(pack)
    path = state_path(resources.store, runs)
    remove_leftovers(path.parent, path.name)
    if resources.start_over and path.exists():
        say(f"[{label}] starting over: the saved state is discarded")
        path.unlink()
    known = identity(pack, prepared.data_digest(resources.data / "prepared", runs[0].dataset))
    if restore_state(path, known, state):
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
                save_state(path, known, state)

        complete = advance(pack, state, should_stop, after_stretch)
        # Also when complete: whatever goes wrong in evaluating must not cost the training.
        save_state(path, known, state)
        if complete:
            for run in _finish(pack, state, data, hashes, known.data):
                stage_run(resources.store, run)
            # In this order: a kill leaves the state or the staged runs, and never a part of a pack,
            # whose other runs would then be trained in another pack, and round otherwise.
            path.unlink()
            release_runs(resources.store, hashes)
        else:
            say(f"[{label}] stopped after step {state.step} of {pack.steps}; its state is saved")
    return complete


def _finish(
    pack: Pack,
    state: TrainingState,
    data: prepared.Arrays,
    hashes: Sequence[str],
    data_digest: str,
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
                data=data_digest,
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
