"""The store of finished runs, and its locks. No workflow deletes files in it.

The files of a finished run are in runs/<first two digits>/<run hash>/. A process holds the locks of
the runs that it trains.
"""

import contextlib
import fcntl
import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from vaebench.errors import UserError
from vaebench.experiment.plans import PLANS
from vaebench.files import (
    allow_open_files,
    naming,
    read_content,
    remove_leftovers,
    write_atomically,
)
from vaebench.progress import log
from vaebench.reading.thin import whole_digest
from vaebench.runs.plausible import check_run, problem_of
from vaebench.runs.record import RunRecord, read_record

WEIGHTS = "model.safetensors"
EVALUATION = "evaluation.json"
MEASURED: dict[str, tuple[str, str]] = {name: (f"{name}.npz", f"{name}.json") for name in PLANS}
"""The files of what is measured on the weights of a run: arrays, and the record last."""
STAGED = "metrics.staged.json"
START_OVER = "--start-over (or VAEBENCH_START_OVER=1 before snakemake)"
"""The option that discards unusable saved states and damaged runs. Messages name it."""
LARGEST = 16 * 1024**3
"""The most bytes of a file of a run."""
_REMEDY = f"to train the run again: {START_OVER}"


@dataclass(frozen=True)
class FinishedRun:
    """The results of a run: its record and the content of its two other files."""

    record: RunRecord
    arrays: bytes
    """The content of arrays.npz."""
    weights: bytes | None
    """The content of model.safetensors. None if the run was imported without its weights."""
    written: bytes | None = None
    """The content of metrics.json, if it was written before. Another version of this package may
    have written it, with the same values in another way."""

    @property
    def metrics(self) -> bytes:
        """The content of metrics.json."""
        return self.record.to_json().encode() if self.written is None else self.written


def run_folder(store: Path, run_hash: str) -> Path:
    """The folder of a finished run."""
    return store / "runs" / run_hash[:2] / run_hash


def has_run(store: Path, run_hash: str) -> bool:
    """Whether the store has a finished run. Its record is written last."""
    return (run_folder(store, run_hash) / "metrics.json").exists()


def stored_hash(store: Path, candidates: Sequence[str]) -> str:
    """The hash under which the store has a run, finished or staged.

    Args:
        store: the store of finished runs.
        candidates: the hashes under which the run counts as current. This checkout's own hash is
            the first.

    Returns:
        The first of them that the store has; the first of all if it has none.
    """
    for name in ("metrics.json", STAGED):
        for run_hash in candidates:
            if (run_folder(store, run_hash) / name).exists():
                return run_hash
    return candidates[0]


def has_weights(store: Path, run_hash: str) -> bool:
    """Whether the store has the weights of a finished run."""
    return (run_folder(store, run_hash) / WEIGHTS).exists()


def stage_run(store: Path, run: FinishedRun) -> None:
    """Write a finished run. It counts only after `release_runs`, which releases whole packs.

    Raises:
        UserError: the run makes no sense, see `check_run`. Nothing is written.
    """
    check_run(run.record, run.arrays)
    folder = run_folder(store, run.record.run_hash)
    remove_leftovers(folder)
    if run.weights is not None:
        write_atomically(folder / WEIGHTS, run.weights)
    write_atomically(folder / "arrays.npz", run.arrays)
    write_atomically(folder / STAGED, run.metrics)


def release_runs(store: Path, run_hashes: Iterable[str]) -> None:
    """Make the staged runs among these finished runs."""
    for run_hash in run_hashes:
        folder = run_folder(store, run_hash)
        if (folder / STAGED).exists():
            os.replace(folder / STAGED, folder / "metrics.json")


def put_run(store: Path, run: FinishedRun) -> None:
    """Write a finished run into the store.

    Raises:
        UserError: as `stage_run`.
    """
    stage_run(store, run)
    release_runs(store, [run.record.run_hash])


def kept_evaluation(store: Path, run_hash: str) -> Path:
    """The path of the sample quality of a finished run. The file may not exist."""
    return run_folder(store, run_hash) / EVALUATION


def keep_evaluation(store: Path, run_hash: str, evaluation: Path) -> None:
    """Keep the sample quality of a finished run, which cannot be measured again without weights."""
    write_atomically(kept_evaluation(store, run_hash), evaluation.read_bytes())


def keep_files(store: Path, run_hash: str, folder: Path, names: Sequence[str]) -> None:
    """Keep what was measured on a finished run, which cannot be measured again without weights.

    Args:
        store: the store of finished runs.
        run_hash: the hash of the run.
        folder: where the files are.
        names: their names, see `MEASURED`.
    """
    for name in names:
        write_atomically(run_folder(store, run_hash) / name, (folder / name).read_bytes())


def unfinished_measurement(store: Path, name: str, key: str) -> Path:
    """The folder of the finished parts of a measurement that is not complete."""
    return store / name / key


def remove_unfinished(folder: Path) -> None:
    """Remove such a folder, if there is one."""
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def remove_run(store: Path, run_hash: str) -> None:
    """Remove a finished run from the store. The record is removed first.

    Without its record, a run does not count as finished.
    """
    folder = run_folder(store, run_hash)
    measured = (EVALUATION, *(name for files in MEASURED.values() for name in reversed(files)))
    for name in ("metrics.json", STAGED, *measured, "arrays.npz", WEIGHTS):
        (folder / name).unlink(missing_ok=True)


def get_run(store: Path, run_hash: str) -> FinishedRun:
    """Read a finished run and check its files against its record.

    Raises:
        UserError: a file is missing or is not the one that the record names.
    """
    folder = run_folder(store, run_hash)
    try:
        record = read_record(folder / "metrics.json")
    except UserError as error:
        raise UserError(f"{error}\n{_REMEDY}") from None
    weights = folder / WEIGHTS
    expected = {"arrays.npz": record.digests.arrays}
    if weights.exists():
        expected[WEIGHTS] = record.digests.weights
    try:
        contents = {
            name: read_content(folder / name, "", LARGEST, digest, digest_with=whole_digest)
            for name, digest in expected.items()
        }
        written = read_content(folder / "metrics.json", "", LARGEST)
        if problem := problem_of(record):
            raise UserError(f"{folder / 'metrics.json'} is refused: {problem}")
    except UserError as error:
        raise UserError(f"{error}\n{_REMEDY}") from None
    return FinishedRun(record, contents["arrays.npz"], contents.get(WEIGHTS), written)


@contextlib.contextmanager
def locked(store: Path, names: Sequence[str]) -> Iterator[None]:
    """Hold the locks of these names. Waits while another process holds one, and logs which it is.

    They are locks of the kernel, which releases them when the process ends in any way.

    Raises:
        UserError: the system does not allow a process to hold so many.
        OSError: the file system has no locks. The error names a file of it.
    """
    folder = store / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        wanted = sorted(set(names))
        allow_open_files(len(wanted), f"the locks of {len(wanted)} runs")
        # Locks are taken in sorted order, so two packs that share runs cannot block each other.
        for name in wanted:
            path = folder / f"{name}.lock"
            # Unbuffered: what a full disk refuses is told here, and not when the file is closed.
            file = stack.enter_context(path.open("ab+", buffering=0))
            with naming(path):
                _lock(file)
        yield


def _lock(file: FileIO) -> None:
    """Take the lock of an open file, and write into it who holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info(f"waiting: {_holder(file)} works on one of these runs")
        fcntl.flock(file, fcntl.LOCK_EX)
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": platform.node()}).encode())


def _holder(file: FileIO) -> str:
    file.seek(0)
    try:
        known = json.loads(file.read(1000))
        return f"process {int(known['pid'])} on {known['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"  # It holds the lock and has not written its name yet.
