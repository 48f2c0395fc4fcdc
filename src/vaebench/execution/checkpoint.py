"""Checkpoints: the state of an unfinished training on disk, from which it continues.

A checkpoint lies at states/<digest of the settings of its runs>.state in the store. It is a line
with the SHA-256 of what follows, then a safetensors file with weights, Adam's moments and, as text,
the counters. The state of a random generator is not needed: streams are functions of seed and epoch
(`core/streams.py`).
"""

from collections.abc import Container, Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.files import digest_bytes, write_atomically
from vaebench.runs.record import HistoryPoint
from vaebench.runs.sources import accepted_sources, source_digest
from vaebench.runs.store import START_OVER
from vaebench.training.pack import Pack, TrainingState

VERSION = 2
_HEADER = "header"


class CheckpointKey(BaseModel):
    """What a checkpoint and the pack that continues from it must have in common."""

    version: int
    settings: list[str]
    sources: str
    data: str
    device: str


class _Header(BaseModel):
    identity: CheckpointKey
    step: int
    seconds: float
    diverged: list[int | None]
    history: list[list[HistoryPoint]]


class _RefusedError(Exception):
    """A checkpoint cannot be used; the text says why."""


def checkpoint_path(store: Path, runs: Sequence[Settings]) -> Path:
    """Where the checkpoint of a pack lies. Every pack has its own, whatever runs it shares.

    The name does not depend on the sources. So a checkpoint of other sources is found and refused,
    and not overlooked.
    """
    return store / "states" / f"{digest_bytes('/'.join(r.digest for r in runs).encode())}.state"


def checkpoint_key(pack: Pack, data: str) -> CheckpointKey:
    """What a saved state must share with `pack`, which trains on the data of this digest."""
    return CheckpointKey(
        version=VERSION,
        settings=[run.digest for run in pack.runs],
        sources=source_digest(pack.shared),
        data=data,
        device=pack.train_images.device.type,
    )


def save_checkpoint(path: Path, key: CheckpointKey, state: TrainingState) -> None:
    """Keep where training stands; the state before it stays until this one is complete.

    Args:
        path: of `checkpoint_path`.
        key: of `checkpoint_key`.
        state: where training stands.

    Raises:
        OSError: the disk is full or cannot be written; the state before it is unchanged.
    """
    header = _Header(
        identity=key,
        step=state.step,
        seconds=state.seconds,
        diverged=state.diverged,
        history=state.history,
    )
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(state).items()}
    text = bytearray(header.model_dump_json().encode())
    content = save(tensors | {_HEADER: torch.frombuffer(text, dtype=torch.uint8)})
    write_atomically(path, f"{digest_bytes(content)}\n".encode() + content)


def restore_checkpoint(
    path: Path, key: CheckpointKey, state: TrainingState, sources: Container[str]
) -> bool:
    """Bring a state that `init_state` made to where the checkpoint stands, if there is one.

    Args:
        path: of `checkpoint_path`.
        key: of `checkpoint_key`.
        state: gets the saved values.
        sources: the digests of sources from which training may continue, see `same_to_the_bit`.

    Returns:
        Whether there was a checkpoint.

    Raises:
        UserError: the saved state is damaged, or of another version, setting, source or device.
    """
    if not path.exists():
        return False
    try:
        header, tensors = _read(path, key, sources)
        with torch.no_grad():
            for name, tensor in _tensors(state).items():
                tensor.copy_(tensors[name])
    except (_RefusedError, KeyError, RuntimeError) as error:
        raise UserError(
            f"the saved training state {path} cannot be used: {error}. To discard it and train "
            f"from the beginning: {START_OVER}"
        ) from None
    state.step, state.seconds = header.step, header.seconds
    state.diverged, state.history = header.diverged, header.history
    return True


def same_to_the_bit(run: Settings) -> set[str]:
    """The digests of sources that train this run to the same bytes as this checkout's."""
    return {
        digest for digest, basis in accepted_sources(run).items() if basis.level in (None, "bits")
    }


def _read(
    path: Path, wanted: CheckpointKey, sources: Container[str]
) -> tuple[_Header, dict[str, torch.Tensor]]:
    digest, _, content = path.read_bytes().partition(b"\n")
    if digest != digest_bytes(content).encode():
        raise _RefusedError("it is damaged")
    try:
        tensors = load(content)
        header = _Header.model_validate_json(tensors[_HEADER].numpy().tobytes())
    except (SafetensorError, ValidationError, KeyError):
        raise _RefusedError(f"it is of another version than {VERSION}") from None
    found = header.identity
    if found.version != wanted.version:
        raise _RefusedError(f"its version is {found.version}, not {wanted.version}")
    if found.sources not in sources:
        raise _RefusedError(
            f"other sources made it ({found.sources[:12]}) than this checkout's "
            f"({wanted.sources[:12]}), which would end in a run that is neither's"
        )
    if found.device != wanted.device:
        # Noise differs between kinds of device: the run would be neither's.
        raise _RefusedError(f"it was made on {found.device}: continue with --device {found.device}")
    for what in ("settings", "data"):
        if getattr(found, what) != getattr(wanted, what):
            raise _RefusedError(f"it belongs to other {what}")
    return header, tensors


def _tensors(state: TrainingState) -> dict[str, torch.Tensor]:
    """All tensors of a state by name: weights, Adam's moments and its count."""
    tensors = dict(state.parameters) | {"adam/step": state.moments.step}
    for moment, values in (("first", state.moments.first), ("second", state.moments.second)):
        for name, value in zip(state.parameters, values, strict=True):
            tensors[f"adam/{moment}/{name}"] = value
    return tensors
