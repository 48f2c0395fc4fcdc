"""The store of finished and unfinished training, outside everything a workflow may delete.

A finished run lies at runs/<first two digits>/<run hash>/, an unfinished pack's state at
states/<digest of its run hashes>.safetensors. Whoever trains a run holds its lock.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vaebench.errors import UserError
from vaebench.files import digest_bytes, digest_file, write_atomically
from vaebench.progress import say
from vaebench.records import HistoryPoint, RunRecord, read_record
from vaebench.training.loop import TrainingState

DEFAULT = ".vaebench"
STATE_VERSION = 1


@dataclass(frozen=True)
class FinishedRun:
    """What a run leaves: the record and the bytes of its two other files."""

    record: RunRecord
    arrays: bytes
    weights: bytes | None
    """None where they are not here: the run came from a colleague without them."""


def run_folder(store: Path, run_hash: str) -> Path:
    """Where a finished run lies."""
    return store / "runs" / run_hash[:2] / run_hash


def has_run(store: Path, run_hash: str) -> bool:
    """Whether the store has a finished run; its record is written last."""
    return (run_folder(store, run_hash) / "metrics.json").exists()


def has_weights(store: Path, run_hash: str) -> bool:
    """Whether the store has the weights of a finished run."""
    return (run_folder(store, run_hash) / "model.safetensors").exists()


def put_run(store: Path, run: FinishedRun) -> None:
    """Keep a finished run."""
    folder = run_folder(store, run.record.run_hash)
    if run.weights is not None:
        write_atomically(folder / "model.safetensors", run.weights)
    write_atomically(folder / "arrays.npz", run.arrays)
    write_atomically(folder / "metrics.json", run.record.to_json().encode())


def get_run(store: Path, run_hash: str) -> FinishedRun:
    """Read a finished run and check its files against its record.

    Raises:
        UserError: a file is missing or is not the one that the record names.
    """
    folder = run_folder(store, run_hash)
    try:
        record = read_record(folder / "metrics.json")
    except UserError as error:
        raise UserError(f"{error}\nremove {folder} to train the run again") from None
    weights = folder / "model.safetensors"
    expected = {"arrays.npz": record.digests.arrays}
    if weights.exists():
        expected["model.safetensors"] = record.digests.weights
    for name, digest in expected.items():
        if not (folder / name).exists() or digest_file(folder / name) != digest:
            raise UserError(
                f"{folder / name} is missing or damaged: remove {folder} to train the run again"
            )
    content = weights.read_bytes() if weights.exists() else None
    return FinishedRun(record, (folder / "arrays.npz").read_bytes(), content)


class _StateHeader(BaseModel):
    version: int
    device: str
    step: int
    seconds: float
    diverged: list[int | None]
    history: list[list[HistoryPoint]]


def state_path(store: Path, run_hashes: Sequence[str]) -> Path:
    """Where the state of a pack lies; another pack, of the same runs or not, has another."""
    return store / "states" / f"{digest_bytes('/'.join(run_hashes).encode())}.safetensors"


def save_state(path: Path, state: TrainingState) -> None:
    """Keep where training stands: weights, optimiser and counters."""
    header = _StateHeader(
        version=STATE_VERSION,
        device=_device(state),
        step=state.step,
        seconds=state.seconds,
        diverged=state.diverged,
        history=state.history,
    )
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(state).items()}
    write_atomically(path, save(on_cpu, {"state": header.model_dump_json()}))


def restore_state(path: Path, state: TrainingState) -> bool:
    """Bring a state that `begin` made to where the saved one stands, if there is one.

    Raises:
        UserError: the saved state is damaged or of another version.
    """
    if not path.exists():
        return False
    try:
        with safe_open(path, framework="pt") as saved:
            header = _StateHeader.model_validate_json((saved.metadata() or {})["state"])
            if header.version != STATE_VERSION:
                raise ValueError(f"its version is {header.version}, not {STATE_VERSION}")
            if header.device != _device(state):
                # Noise differs between kinds of device: the run would be neither's.
                raise ValueError(f"it was made on {header.device}: continue with --device")
            tensors = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118
        with torch.no_grad():
            for name, tensor in _tensors(state).items():
                tensor.copy_(tensors[name])
    except (SafetensorError, ValidationError, ValueError, KeyError, RuntimeError, OSError) as error:
        raise UserError(
            f"the saved training state {path} cannot be used ({error}): remove it to start over"
        ) from None
    state.step, state.seconds = header.step, header.seconds
    state.diverged, state.history = header.diverged, header.history
    return True


def _device(state: TrainingState) -> str:
    return state.moments.step.device.type


def _tensors(state: TrainingState) -> dict[str, torch.Tensor]:
    """All tensors of a state by name: weights, Adam's moments and its count."""
    tensors = dict(state.parameters) | {"adam/step": state.moments.step}
    for moment, values in (("first", state.moments.first), ("second", state.moments.second)):
        for name, value in zip(state.parameters, values, strict=True):
            tensors[f"adam/{moment}/{name}"] = value
    return tensors


@contextlib.contextmanager
def locked(store: Path, run_hashes: Sequence[str]) -> Iterator[None]:
    """Hold the locks of these runs; waits while another process trains one of them.

    The locks are the kernel's, so they go with the process that holds them, however it ends.
    """
    folder = store / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        # In one order everywhere, so that two packs that share runs cannot wait for each other.
        for run_hash in sorted(run_hashes):
            file = stack.enter_context((folder / f"{run_hash}.lock").open("a+"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = json.loads(file.read() or "{}").get("pid", "another process")
                say(f"waiting: process {holder} is training one of these runs")
                fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid()}))
            file.flush()
        yield
