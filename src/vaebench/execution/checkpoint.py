"""Checkpoints: the state of an unfinished training on disk, from which it continues.

A checkpoint is the file states/<digest of the settings of its runs>.state in the store. Its first
line is the SHA-256 of the rest. The rest is a safetensors file with the weights, Adam's moments
and, as JSON, the counters. Random generators have no state to save, since streams are functions of
seed and epoch (`numerics/streams.py`).
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
    """The properties that a checkpoint must share with the pack that continues from it."""

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
    """A checkpoint cannot be used. The text gives the reason."""


def checkpoint_path(store: Path, runs: Sequence[Settings]) -> Path:
    """The path of the checkpoint of a pack. Packs with different runs have different paths.

    The name does not depend on the sources. So a checkpoint of other sources is found and refused,
    and not overlooked.
    """
    return store / "states" / f"{digest_bytes('/'.join(r.digest for r in runs).encode())}.state"


def checkpoint_key(pack: Pack, data: str) -> CheckpointKey:
    """The key of a pack.

    Args:
        pack: the pack.
        data: the digest of its data.
    """
    return CheckpointKey(
        version=VERSION,
        settings=[run.digest for run in pack.runs],
        sources=source_digest(pack.shared),
        data=data,
        device=pack.train_images.device.type,
    )


def save_checkpoint(path: Path, key: CheckpointKey, state: TrainingState) -> None:
    """Save the state of a training. The previous checkpoint stays until the new one is complete.

    Args:
        path: the result of `checkpoint_path`.
        key: the result of `checkpoint_key`.
        state: the state.

    Raises:
        OSError: the disk is full or cannot be written. The previous checkpoint is then unchanged.
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
    """Load a checkpoint, if there is one, into a state that `init_state` made.

    Args:
        path: the result of `checkpoint_path`.
        key: the result of `checkpoint_key`.
        state: receives the saved values.
        sources: the digests of sources from which training may continue, see `same_to_the_bit`.

    Returns:
        Whether there was a checkpoint.

    Raises:
        UserError: the checkpoint is damaged, or is of another version, device or dataset, or of
            other settings or sources.
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
    """The digests of sources that give this run the same bytes as this checkout's sources."""
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
        # Noise differs between kinds of device. The result would belong to neither.
        raise _RefusedError(f"it was made on {found.device}: continue with --device {found.device}")
    for what in ("settings", "data"):
        if getattr(found, what) != getattr(wanted, what):
            raise _RefusedError(f"it belongs to other {what}")
    return header, tensors


def _tensors(state: TrainingState) -> dict[str, torch.Tensor]:
    """All tensors of a state by name: weights, Adam's moments and its number of updates."""
    tensors = dict(state.parameters) | {"adam/step": state.moments.step}
    for moment, values in (("first", state.moments.first), ("second", state.moments.second)):
        for name, value in zip(state.parameters, values, strict=True):
            tensors[f"adam/{moment}/{name}"] = value
    return tensors
