"""One training job: prepares a pack, trains it, and commits its runs to the store.

The rules of the workflow and the command line call `train_targets`.
"""

import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vaebench.data import prepared
from vaebench.errors import UserError
from vaebench.evaluation.arrays import to_npz
from vaebench.execution.check_objective import check_once, check_size
from vaebench.execution.checkpoint import (
    CheckpointKey,
    checkpoint_key,
    checkpoint_path,
    restore_checkpoint,
    same_to_the_bit,
    save_checkpoint,
)
from vaebench.execution.continuation import keep_states, restore_kept
from vaebench.execution.device import hold_memory
from vaebench.execution.trackers import Tracking, tracking
from vaebench.execution.weights import weights_file
from vaebench.execution.worker import describe_worker
from vaebench.experiment.grid import Run
from vaebench.experiment.settings import Settings
from vaebench.files import (
    digest_bytes,
    digest_file,
    has_content,
    remove_leftovers,
    write_atomically,
)
from vaebench.memory import named_shortage
from vaebench.paths import Layout
from vaebench.progress import TrainingProgress, log
from vaebench.runs.environment import environment_digest
from vaebench.runs.record import Digests, RunRecord, Timing
from vaebench.runs.run_hash import accepted_hashes
from vaebench.runs.sources import source_digest
from vaebench.runs.store import (
    START_OVER,
    FinishedRun,
    get_run,
    has_run,
    locked,
    release_runs,
    remove_run,
    stage_run,
    stored_hash,
)
from vaebench.training.compiled import chosen, compiler
from vaebench.training.final_metrics import final_metrics
from vaebench.training.loop import train
from vaebench.training.pack import Pack, TrainingState, init_state

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
"""Signals after which training saves its state and stops. SIGHUP comes when a terminal closes."""
LESS_MEMORY = (
    "Train fewer runs together, or choose a smaller batch_size, latent_dim or network. Saved "
    "states and finished runs are kept"
)
"""What to do if memory does not suffice."""


@dataclass(frozen=True)
class Target:
    """A run to train, and the places of its files."""

    settings: Settings
    folder: Path
    """The folder for metrics.json and arrays.npz."""
    weights: Path
    """The path of the weights, which are a safetensors file."""


def targets_of(layout: Layout, experiment: str, runs: Iterable[Run]) -> list[Target]:
    """Runs of an experiment, with the places of their files in a tier's folder."""
    return [
        Target(
            run.settings, layout.run(experiment, run.folder), layout.weights(experiment, run.folder)
        )
        for run in runs
    ]


@dataclass(frozen=True)
class Resources:
    """How and where to train. Nothing of it enters the hash of a run."""

    device: torch.device
    data: Path
    """The folder with `prepared/`."""
    store: Path
    save_every: int
    deadline: float | None = None
    """The time, by `time.monotonic()`, at which training saves its state and stops."""
    start_over: bool = False
    """Whether to discard unusable checkpoints and damaged finished runs instead of raising."""
    keep_state: bool = False
    """Whether to keep the final state of finished runs, from which longer runs continue."""
    must_continue: bool = False
    """Whether to refuse to train a run from its beginning."""
    track: str | None = None
    """The name of a tracker that shows the training, see `trackers`."""
    steps: str | None = None
    """Which steps are compiled, a choice of `compiled.CHOICES`. None: as VAEBENCH_COMPILE says."""


def train_targets(label: str, targets: Sequence[Target], resources: Resources) -> bool:
    """Train the missing runs of `targets` as one pack, and put the files of all runs in place.

    Finished runs are taken from the store. They may be of other sources that are attested to
    compute the same. A pack that was stopped continues from its checkpoint.

    Args:
        label: the name of the work in progress messages.
        targets: runs that differ only in axes that can be packed.
        resources: how and where to train.

    Returns:
        Whether to go on. False if a deadline or a signal stopped training, whose state is then
        saved, or if a signal came while trained runs were evaluated, which are then in place.

    Raises:
        UserError: the data are missing or do not fit the settings, a checkpoint is unusable, or
            memory does not suffice.
    """
    with named_shortage(f"[{label}] {_together(len(targets))}", LESS_MEMORY):
        return _train_targets(label, targets, resources)


def _train_targets(label: str, targets: Sequence[Target], resources: Resources) -> bool:
    store, stopped = resources.store, False
    # Locks are named by settings, since the path of a checkpoint depends on settings only.
    with locked(store, [target.settings.digest for target in targets]):
        hashes = [
            stored_hash(store, accepted_hashes(target.settings, resources.data))
            for target in targets
        ]
        if resources.start_over:
            _forget_damaged(store, targets, hashes)
        missing = _missing(store, targets, hashes)
        restored = len(targets) - len(missing)
        if restored:
            log.info(f"[{label}] {restored} of {len(targets)} runs are trained already")
        if missing:
            runs = [targets[k].settings for k in missing]
            session = _prepare(label, runs, resources)
            names = [targets[k].folder.as_posix() for k in missing]
            new = [hashes[k] for k in missing]
            with tracking(resources.track, names, runs, new) as tracked:
                if not _train(session, resources, tracked):
                    return False
                stopped = _commit(session, new, resources, tracked)
    lacking = 0
    for target, value in zip(targets, hashes, strict=True):
        run = get_run(store, value)
        _publish(run, target)
        lacking += _lacks_weights(run, target)
    if lacking:
        log.info(
            f"[{label}] the weights of {lacking} of {len(targets)} runs are missing; to train them "
            f"again: {START_OVER}"
        )
    return not stopped


@dataclass(frozen=True)
class _Session:
    """A pack that is ready to train, from its beginning or from a checkpoint."""

    label: str
    pack: Pack
    state: TrainingState
    data: prepared.Arrays
    checkpoint: Path
    key: CheckpointKey


def _missing(store: Path, targets: Sequence[Target], hashes: Sequence[str]) -> list[int]:
    """The indices of the runs that are still to be trained."""
    missing = [k for k, value in enumerate(hashes) if not has_run(store, value)]
    if not checkpoint_path(store, [targets[k].settings for k in missing]).exists():
        # The process was killed while it released a pack: all runs of the pack are complete, and
        # its checkpoint is removed. So the remaining ones can be released.
        release_runs(store, [hashes[k] for k in missing])
    return [k for k in missing if not has_run(store, hashes[k])]


def _forget_damaged(store: Path, targets: Sequence[Target], hashes: Sequence[str]) -> None:
    """Remove finished runs from the store that are damaged, or whose weights are nowhere."""
    for target, value in zip(targets, hashes, strict=True):
        try:
            if has_run(store, value) and _lacks_weights(get_run(store, value), target):
                raise UserError(f"the weights of the run in {target.folder} are missing")
        except UserError as error:
            log.info(f"starting over: {str(error).splitlines()[0]}")
            remove_run(store, value)


def _lacks_weights(run: FinishedRun, target: Target) -> bool:
    is_there = target.weights.exists() and (
        digest_file(target.weights) == run.record.digests.weights
    )
    return run.weights is None and not is_there


def _prepare(label: str, runs: Sequence[Settings], resources: Resources) -> _Session:
    """Load the data, make the pack, and load its checkpoint if there is one.

    Raises:
        UserError: the data are missing or do not fit the settings, or the checkpoint is unusable.
    """
    shared = runs[0]
    data = prepared.load(resources.data / "prepared", shared.dataset)
    check_size(shared, len(data.train_images))
    check_once(runs, data, resources.device)
    hold_memory()
    pack = Pack.of(runs, data, resources.device)
    state = init_state(pack)
    path = checkpoint_path(resources.store, runs)
    remove_leftovers(path.parent, path.name)
    if resources.start_over and path.exists():
        log.info(f"[{label}] starting over: the checkpoint is discarded")
        path.unlink()
    data_digest = prepared.data_digest(resources.data / "prepared", shared.dataset)
    key = checkpoint_key(pack, data_digest)
    if restore_checkpoint(path, key, pack, state, same_to_the_bit(shared)):
        log.info(f"[{label}] continues after step {state.step} of {pack.steps}")
    elif not resources.start_over:
        _continue_shorter_runs(label, pack, key, state, resources)
    if state.step == 0:
        state.compiled = chosen(pack, resources.steps)
    return _Session(label, pack, state, data, path, key)


def _continue_shorter_runs(
    label: str, pack: Pack, key: CheckpointKey, state: TrainingState, resources: Resources
) -> None:
    """Continue from the kept states of finished runs that are the beginning of these, if any.

    Raises:
        UserError: there are none, and training must not start from the beginning.
    """
    sources = same_to_the_bit(pack.shared)
    reason = restore_kept(resources.store, pack, key, state, sources)
    if reason is None:
        log.info(f"[{label}] continues finished runs after step {state.step} of {pack.steps}")
    elif resources.must_continue:
        raise UserError(f"the run cannot be continued: {reason}. Train it without --from")


def _train(session: _Session, resources: Resources, tracked: Tracking) -> bool:
    """Train to the end, or until the deadline or a signal. The state is saved in both cases.

    Returns:
        Whether training is complete.
    """
    label, pack, state = session.label, session.pack, session.state
    in_steps = pack.shared.steps is not None
    length = f"{pack.steps} steps" if in_steps else f"{pack.shared.epochs} epochs"
    count = _together(len(pack.runs))
    log.info(f"[{label}] training {count}, {length}, on {resources.device.type}")
    unit, size = ("step", pack.eval_interval) if in_steps else ("epoch", 1)
    shown = TrainingProgress(label, pack.evaluations, unit, size)
    with _stop_signals() as stopped, shown as progress:

        def should_stop() -> bool:
            late = resources.deadline is not None and time.monotonic() > resources.deadline
            return late or stopped.is_set()

        def after_evaluation(number: int) -> None:
            progress.report(number, state.step / state.seconds, _mean_objective(state))
            tracked.points(state.history)
            # If training is counted in steps, an interval is a twentieth of it. Each one is saved.
            due = in_steps or number % resources.save_every == 0
            if due and number < pack.evaluations:
                save_checkpoint(session.checkpoint, session.key, state)

        complete = train(pack, state, should_stop, after_evaluation)
        # Also saved when complete, so that a failure of the evaluation does not lose the training.
        save_checkpoint(session.checkpoint, session.key, state)
    if not complete:
        log.info(f"[{label}] stopped after step {state.step} of {pack.steps}; its state is saved")
    return complete


def _commit(
    session: _Session, hashes: Sequence[str], resources: Resources, tracked: Tracking
) -> bool:
    """Evaluate a trained pack and put either all of its runs or none into the store.

    Returns:
        Whether a signal asked to stop meanwhile.
    """
    store = resources.store
    with _stop_signals() as stopped:
        if resources.keep_state:
            keep_states(store, session.pack, session.key, session.state, hashes)
        for k, run in enumerate(_evaluate(session, hashes)):
            stage_run(store, run)
            tracked.final(k, run.record, session.state.step)
        # In this order, a killed process leaves either the checkpoint or all staged runs. If some
        # runs alone were kept, the others would be trained in another pack, with other rounding.
        session.checkpoint.unlink()
        release_runs(store, hashes)
    if stopped.is_set():
        log.info(f"[{session.label}] asked to stop: its runs are complete, and no other is trained")
    return stopped.is_set()


def _evaluate(session: _Session, hashes: Sequence[str]) -> Iterator[FinishedRun]:
    """Evaluate a trained pack. Yields the record, arrays and weights of each run."""
    pack, state = session.pack, session.state
    _note_infinite_weights(state)
    worker = describe_worker(
        pack.train_images.device, len(pack.runs), compiler() if state.compiled else None
    )
    environment = environment_digest()
    for k, measured in enumerate(final_metrics(pack, state, session.data)):
        settings = pack.runs[k]
        parameters = {name: stack[k] for name, stack in state.parameters.items()}
        weights = weights_file(settings, hashes[k], parameters)
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
                data=session.key.data,
                environment=environment,
                weights=digest_bytes(weights),
                arrays=digest_bytes(npz),
            ),
        )
        yield FinishedRun(record, npz, weights)


def _note_infinite_weights(state: TrainingState) -> None:
    """Let runs count as diverged whose last update made weights infinite: no step came after it."""
    for k, diverged in enumerate(state.diverged):
        weights = (tensor[k] for tensor in state.parameters.values())
        if diverged is None and not all(bool(one.isfinite().all()) for one in weights):
            state.diverged[k] = state.step


def _publish(run: FinishedRun, target: Target) -> None:
    """Write the files of a finished run to its target, the record last. Skips equal files."""
    contents = {} if run.weights is None else {target.weights: run.weights}
    contents |= {
        target.folder / "arrays.npz": run.arrays,
        target.folder / "metrics.json": run.metrics,
    }
    for path, content in contents.items():
        if not has_content(path, content):
            write_atomically(path, content)


def _together(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs together"


def _mean_objective(state: TrainingState) -> float | None:
    last = [points[-1].objective for points in state.history if points]
    known = [value for value in last if value is not None]
    return sum(known) / len(known) if known else None


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Yields an event that the signals in `STOPPING` set while the block runs."""
    event = threading.Event()
    handlers: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in STOPPING:
            # `nohup` ignores SIGHUP, so that work goes on without its terminal.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                handlers[number] = signal.signal(number, lambda *_: event.set())
    try:
        yield event
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
