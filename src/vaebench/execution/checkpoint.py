"""Checkpoints: the state of an unfinished training on disk, from which it continues.

A checkpoint is the file states/<digest of the settings of its runs>.state in the store. Its first
line is the SHA-256 of the rest. The rest is a safetensors file with the weights, Adam's moments
and, as JSON, the counters. Random generators have no state to save, since streams are functions of
seed and epoch (`numerics/streams.py`).
"""

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

import torch
from pydantic import BaseModel, ValidationError
from safetensors.torch import save

from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.files import digest_bytes, read_content, write_atomically
from vaebench.reading.tensors import LARGEST, tensors_of
from vaebench.runs.plausible import expected_points, history_problem
from vaebench.runs.record import HistoryPoint
from vaebench.runs.sources import accepted_sources, source_digest
from vaebench.runs.store import START_OVER
from vaebench.training.pack import Pack, TrainingState

VERSION = 2
_HEADER = "header"
MOST_COUNTED = 2**24
"""The last whole number that a float32 can count up to by ones."""


class CheckpointKey(BaseModel):
    """The properties that a checkpoint must share with the pack that continues from it."""

    version: int
    settings: list[str]
    sources: str
    data: str
    device: str


class CheckpointHeader(BaseModel):
    """What a checkpoint says beside its tensors."""

    identity: CheckpointKey
    step: int
    seconds: float
    diverged: list[int | None]
    history: list[list[HistoryPoint]]
    compiled: bool = False
    """Whether steps are compiled."""
    pack: list[str] | None = None
    """Of a kept state: the names of all runs that were trained together, see `continuation`."""


class RefusedError(Exception):
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


def save_checkpoint(
    path: Path, key: CheckpointKey, state: TrainingState, pack: list[str] | None = None
) -> None:
    """Save the state of a training. The previous checkpoint stays until the new one is complete.

    Args:
        path: the result of `checkpoint_path`.
        key: the result of `checkpoint_key`.
        state: the state.
        pack: of a kept state, see `CheckpointHeader`.

    Raises:
        OSError: the disk is full or cannot be written. The previous checkpoint is then unchanged.
    """
    header = CheckpointHeader(
        identity=key,
        step=state.step,
        seconds=state.seconds,
        diverged=state.diverged,
        history=state.history,
        compiled=state.compiled,
        pack=pack,
    )
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in state_tensors(state).items()
    }
    text = bytearray(header.model_dump_json().encode())
    content = save(tensors | {_HEADER: torch.frombuffer(text, dtype=torch.uint8)})
    write_atomically(path, f"{digest_bytes(content)}\n".encode() + content)


def restore_checkpoint(
    path: Path, key: CheckpointKey, pack: Pack, state: TrainingState, sources: Container[str]
) -> bool:
    """Load a checkpoint, if there is one, into a state that `init_state` made.

    Args:
        path: the result of `checkpoint_path`.
        key: the result of `checkpoint_key`.
        pack: the runs that continue.
        state: receives the saved values.
        sources: the digests of sources from which training may continue, see `same_to_the_bit`.

    Returns:
        Whether there was a checkpoint.

    Raises:
        UserError: the checkpoint is damaged, is of another version, device or dataset, or of other
            settings or sources, or makes no sense (`check_state`).
    """
    if not path.exists():
        return False
    try:
        header, tensors = read_checkpoint(path, key, sources)
        if header.identity.settings != key.settings:
            raise RefusedError("it belongs to other settings")
        check_state(header, tensors, pack)
        copy_tensors(tensors, state)
    except RefusedError as error:
        raise UserError(
            f"the saved training state {path} cannot be used: {error}. To discard it and train "
            f"from the beginning: {START_OVER}"
        ) from None
    state.step, state.seconds = header.step, header.seconds
    state.diverged, state.history = header.diverged, header.history
    state.compiled = header.compiled
    return True


def same_to_the_bit(run: Settings) -> set[str]:
    """The digests of sources that give this run the same bytes as this checkout's sources."""
    return {
        digest for digest, basis in accepted_sources(run).items() if basis.level in (None, "bits")
    }


def read_checkpoint(
    path: Path, wanted: CheckpointKey, sources: Container[str]
) -> tuple[CheckpointHeader, dict[str, torch.Tensor]]:
    """Read a checkpoint and check all of its key but the settings.

    Raises:
        RefusedError: it is damaged, or is of another version, device or dataset, or of sources that
            are not among `sources`.
    """
    try:
        digest, _, content = read_content(path, "", LARGEST).partition(b"\n")
    except UserError as error:
        raise RefusedError(str(error)) from None
    if digest != digest_bytes(content).encode():
        raise RefusedError("it is damaged")
    try:
        tensors = tensors_of(content, path, "")
        header = CheckpointHeader.model_validate_json(tensors[_HEADER].numpy().tobytes())
    except (UserError, ValidationError, KeyError, TypeError):
        raise RefusedError(f"it is of another version than {VERSION}") from None
    found = header.identity
    if found.version != wanted.version:
        raise RefusedError(f"its version is {found.version}, not {wanted.version}")
    if found.sources not in sources:
        raise RefusedError(
            f"other sources made it ({found.sources[:12]}) than this checkout's "
            f"({wanted.sources[:12]}), and a run has to come from one version of the sources"
        )
    if found.device != wanted.device:
        # Noise differs between kinds of device. The result would belong to neither.
        raise RefusedError(f"it was made on {found.device}: continue with --device {found.device}")
    if found.data != wanted.data:
        raise RefusedError("it belongs to other data")
    return header, tensors


def check_state(header: CheckpointHeader, tensors: Mapping[str, torch.Tensor], pack: Pack) -> None:
    """Check that a training of these runs can have this state, whose digest anybody can make.

    Raises:
        RefusedError: as `check_numbers`, or its history is not the one that the step has.
    """
    check_numbers(header, tensors, len(pack.runs), pack.steps)
    for points in header.history:
        if problem := history_problem(points, _points_until(pack, header.step)):
            raise RefusedError(problem)


def check_numbers(
    header: CheckpointHeader, tensors: Mapping[str, torch.Tensor], count: int, steps: int
) -> None:
    """Check all of a state but its histories.

    Args:
        header: what it says.
        tensors: its weights and moments.
        count: the number of its runs.
        steps: of the whole training.

    Raises:
        RefusedError: its step is beyond the end, its counts disagree, or its weights are not finite
            although the run did not diverge.
    """
    step = header.step
    if not 0 <= step <= steps:
        raise RefusedError(f"it is of step {step}, and the training has {steps}")
    if len(header.diverged) != count or len(header.history) != count:
        raise RefusedError(f"it is not of {count} runs")
    if not (math.isfinite(header.seconds) and (header.seconds > 0 or header.seconds == step == 0)):
        raise RefusedError(f"its training took {header.seconds} seconds")
    updates = tensors.get("adam/step")
    # A float32 counts no further.
    if updates is None or updates.numel() != 1 or updates.item() != min(step, MOST_COUNTED):
        raise RefusedError("the updates of its optimiser are not those of its step")
    stacked = [t for t in tensors.values() if t.is_floating_point() and t.ndim]
    if any(len(tensor) != count for tensor in stacked):
        raise RefusedError(f"its tensors are not of {count} runs")
    for k, diverged in enumerate(header.diverged):
        if diverged is not None and not 1 <= diverged <= step:
            raise RefusedError(f"it says that a run diverged at step {diverged} of {step}")
        # The last update can make weights infinite. The step after it then notes the divergence.
        if diverged is None and step < steps and not _is_finite(stacked, k):
            raise RefusedError("its weights are not finite, although the run did not diverge")


def _is_finite(stacked: Sequence[torch.Tensor], k: int) -> bool:
    return all(bool(tensor[k].isfinite().all()) for tensor in stacked)


def _points_until(pack: Pack, step: int) -> Iterator[tuple[int | None, int]]:
    """The epochs and steps after which these runs have been evaluated, at a step."""
    run = pack.shared
    whole = expected_points(run.epochs, run.steps, pack.steps_per_epoch)
    return takewhile(lambda point: point[1] <= step, whole)


@torch.no_grad()
def copy_tensors(tensors: Mapping[str, torch.Tensor], state: TrainingState) -> None:
    """Copy the tensors of a checkpoint into a state.

    Raises:
        RefusedError: names or shapes differ. The state is then unchanged.
    """
    targets = state_tensors(state)
    for name, target in targets.items():
        if name not in tensors or tensors[name].shape != target.shape:
            raise RefusedError(f"its tensor '{name}' is missing or of another shape")
    for name, target in targets.items():
        target.copy_(tensors[name])


def state_tensors(state: TrainingState) -> dict[str, torch.Tensor]:
    """All tensors of a state by name: weights, Adam's moments and its number of updates."""
    tensors = dict(state.parameters) | {"adam/step": state.moments.step}
    for moment, values in (("first", state.moments.first), ("second", state.moments.second)):
        for name, value in zip(state.parameters, values, strict=True):
            tensors[f"adam/{moment}/{name}"] = value
    return tensors
