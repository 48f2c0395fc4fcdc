"""Where an unfinished pack stands, on disk, so that it goes on after whatever stopped it.

A state lies at states/<digest of the settings of its runs>.state in the store: the SHA-256 of what
follows, a line, then a safetensors file with weights, Adam's moments and, as text, the counters.
No state of a random generator is needed: streams are functions of seed and epoch (streams.py).
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from vaebench.errors import UserError
from vaebench.files import digest_bytes, write_atomically
from vaebench.records import HistoryPoint
from vaebench.settings import Settings
from vaebench.sources import source_digest
from vaebench.training.pack import Pack, TrainingState
from vaebench.training.store import START_OVER

VERSION = 2
_HEADER = "header"


class Identity(BaseModel):
    """What a state has to have in common with the pack that goes on from it."""

    version: int
    settings: list[str]
    sources: str
    data: str
    device: str


class _Header(BaseModel):
    identity: Identity
    step: int
    seconds: float
    diverged: list[int | None]
    history: list[list[HistoryPoint]]


class _RefusedError(Exception):
    """A state cannot be used; the text says why."""


def state_path(store: Path, runs: Sequence[Settings]) -> Path:
    """Where the state of a pack lies; another pack, of the same runs or not, has another.

    Sources are not in the name, so that a state of others is met and refused, not overlooked.
    """
    return store / "states" / f"{digest_bytes('/'.join(r.digest for r in runs).encode())}.state"


def identity(pack: Pack, data: str) -> Identity:
    """What a saved state must share with `pack`, which trains on the data of this digest."""
    return Identity(
        version=VERSION,
        settings=[run.digest for run in pack.runs],
        sources=source_digest(pack.runs[0]),
        data=data,
        device=pack.train_images.device.type,
    )


def save_state(path: Path, known: Identity, state: TrainingState) -> None:
    """Keep where training stands; the state before it stays until this one is complete.

    Args:
        path: of `state_path`.
        known: of `identity`.
        state: where training stands.

    Raises:
        OSError: the disk is full or cannot be written; the state before it is unchanged.
    """
    header = _Header(
        identity=known,
        step=state.step,
        seconds=state.seconds,
        diverged=state.diverged,
        history=state.history,
    )
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(state).items()}
    text = bytearray(header.model_dump_json().encode())
    content = save(tensors | {_HEADER: torch.frombuffer(text, dtype=torch.uint8)})
    write_atomically(path, f"{digest_bytes(content)}\n".encode() + content)


def restore_state(path: Path, known: Identity, state: TrainingState) -> bool:
    """Bring a state that `begin` made to where the saved one stands, if there is one.

    Args:
        path: of `state_path`.
        known: of `identity`.
        state: gets the saved values.

    Raises:
        UserError: the saved state is damaged, or of another version, setting, source or device.
    """
    if not path.exists():
        return False
    try:
        header, tensors = _read(path, known)
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


def _read(path: Path, wanted: Identity) -> tuple[_Header, dict[str, torch.Tensor]]:
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
    if found.sources != wanted.sources:
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
