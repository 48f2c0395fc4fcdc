"""Continues finished runs: the final state of a training is kept, and a longer one goes on from it.

A kept state is a file of the store, kept/<name>/<step>-<run hash>.state. It is a checkpoint of a
single run. The name is the digest of the settings without the number of epochs or steps. So a
longer run finds the states of all shorter ones. It ends with the same bytes as if it had been
trained at once.
"""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from vaebench.errors import UserError
from vaebench.execution.checkpoint import (
    CheckpointHeader,
    CheckpointKey,
    RefusedError,
    check_numbers,
    copy_tensors,
    read_checkpoint,
    save_checkpoint,
)
from vaebench.experiment.messages import describe
from vaebench.experiment.settings import Settings
from vaebench.files import remove_leftovers
from vaebench.runs.record import HistoryPoint, RunRecord
from vaebench.training.loop import is_recorded
from vaebench.training.pack import Pack, TrainingState
from vaebench.training.step import asked_for

SHARED = "adam/step"
"""The one tensor of a checkpoint that all runs of a pack share. The others are stacked."""


def keep_states(
    store: Path, pack: Pack, key: CheckpointKey, state: TrainingState, hashes: Sequence[str]
) -> None:
    """Keep the final state of every run of a pack, three times the size of its weights.

    Runs whose settings depend on the length of the training are left out.
    """
    if dependence_on_length(pack.shared) or _uses_progress(pack, state):
        return
    names = [_name(run) for run in pack.runs]
    for k, run in enumerate(pack.runs):
        alone = state.only(k)
        alone.step, alone.seconds = state.step, state.seconds
        alone.diverged, alone.history = [state.diverged[k]], [state.history[k]]
        path = store / "kept" / names[k] / f"{state.step}-{hashes[k]}.state"
        remove_leftovers(path.parent, path.name)
        save_checkpoint(path, key.model_copy(update={"settings": [run.digest]}), alone, names)


def restore_kept(
    store: Path, pack: Pack, key: CheckpointKey, state: TrainingState, sources: Container[str]
) -> str | None:
    """Load the latest kept states of shorter runs into a state that `init_state` made.

    All runs of the pack have to have a state after the same step.

    Args:
        store: the store.
        pack: the longer runs.
        key: the key of the pack.
        state: receives the saved values. It stays as it is if there is nothing to continue from.
        sources: the digests of sources from which training may continue.

    Returns:
        None if the state was loaded, or the reason why not.
    """
    reason = dependence_on_length(pack.shared) or _uses_progress(pack, state)
    if reason is not None:
        return reason
    found = [_kept_states(store, run) for run in pack.runs]
    steps = set.intersection(*(set(of_run) for of_run in found))
    reason = "no final state of a shorter run was kept (--keep-state of `vaebench train`)"
    for step in sorted((step for step in steps if step < pack.steps), reverse=True):
        try:
            read = [_read(of_run[step], step, pack, key, sources) for of_run in found]
            headers = [header for header, _ in read]
            history = [_history(pack, step, header.history[0]) for header in headers]
            copy_tensors(_stacked([tensors for _, tensors in read]), state)
        except RefusedError as error:
            reason = f"the kept state after step {step} cannot be used: {error}"
            continue
        state.step, state.seconds = step, max(header.seconds for header in headers)
        state.diverged = [header.diverged[0] for header in headers]
        state.history, state.compiled = history, headers[0].compiled
        return None
    return reason


def longer_run(
    record: RunRecord, epochs: int | None, steps: int | None, given: dict[str, Any]
) -> Settings:
    """The settings of the run that continues a finished one.

    Args:
        record: the record of the finished run.
        epochs: of the longer run. None if it is counted in steps.
        steps: of the longer run. None if it is counted in epochs.
        given: other settings that the user gave. They have to be those of the finished run.

    Raises:
        UserError: the run cannot be continued so. The text gives the reason.
    """
    run = record.run
    known = run.given()
    for name, value in given.items():
        if known.get(name) != value:
            raise UserError(
                f"--from: {name} is {known.get(name, 'not taken')} in that run, and {value} here: "
                "only epochs or steps may differ, so leave it out"
            )
    if record.status == "diverged":
        raise UserError(f"--from: that run diverged at step {record.diverged_step}")
    unit = "steps" if run.epochs is None else "epochs"
    length = steps if run.epochs is None else epochs
    if length is None or (epochs is not None and steps is not None):
        raise UserError(f"--from: that run is counted in {unit}: give --{unit} alone")
    if length <= int(known[unit]):
        raise UserError(f"--from: that run has {known[unit]} {unit}: give more than these")
    if reason := dependence_on_length(run):
        raise UserError(f"--from: that run cannot be continued: {reason}")
    try:
        return Settings.model_validate(known | {unit: length})
    except ValidationError as error:
        raise UserError(f"--from: {describe(error)}") from None


def dependence_on_length(run: Settings) -> str | None:
    """Why a shorter run is not the beginning of a longer one, by its settings. None if it is."""
    if run.schedule != "constant":
        return f"the schedule '{run.schedule}' depends on the length of the training"
    return None


def _uses_progress(pack: Pack, state: TrainingState) -> str | None:
    """The same of the objective, which is known when it is called."""
    if "progress" not in asked_for(pack, state):
        return None
    return (
        f"the objective '{pack.shared.objective}' depends on the length of the training, since it "
        "uses the share of it that is done"
    )


def _name(run: Settings) -> str:
    """The digest of the settings without their length. It keeps the unit of the length."""
    return run.model_copy(update={"steps" if run.epochs is None else "epochs": 1}).digest


def _kept_states(store: Path, run: Settings) -> dict[int, list[Path]]:
    """The kept states of runs that differ in their length only, by their step.

    A step has several if the run was trained by several versions of the sources.
    """
    found: dict[int, list[Path]] = {}
    for path in sorted((store / "kept" / _name(run)).glob("[0-9]*-*.state")):
        found.setdefault(int(path.name.partition("-")[0]), []).append(path)
    return found


def _read(
    paths: Sequence[Path], step: int, pack: Pack, key: CheckpointKey, sources: Container[str]
) -> tuple[CheckpointHeader, dict[str, torch.Tensor]]:
    """The first of these states that can be used. Otherwise, the first one's error."""
    errors = []
    for path in paths:
        try:
            return _read_one(path, step, pack, key, sources)
        except RefusedError as error:
            errors.append(error)
    raise errors[0]


def _read_one(
    path: Path, step: int, pack: Pack, key: CheckpointKey, sources: Container[str]
) -> tuple[CheckpointHeader, dict[str, torch.Tensor]]:
    header, tensors = read_checkpoint(path, key, sources)
    check_numbers(header, tensors, 1, pack.steps)
    if header.step != step:
        raise RefusedError(f"it is of step {header.step}, and {path.name} is to be of {step}")
    if key.device != "cpu" and header.pack != [_name(run) for run in pack.runs]:
        raise RefusedError(
            "on a GPU, the numbers of a run depend on the runs beside it, and these are other runs"
        )
    return header, tensors


def _stacked(states: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {
        name: first if name == SHARED else torch.cat([state[name] for state in states])
        for name, first in states[0].items()
        if first.is_floating_point()
    }


def _history(pack: Pack, step: int, points: Sequence[HistoryPoint]) -> list[HistoryPoint]:
    """The points that the longer run has up to a step. The last one of a shorter run may be more.

    Raises:
        RefusedError: a point is missing or of another epoch.
    """
    known = {point.step: point for point in points}
    wanted = [
        number * pack.eval_interval
        for number in range(1, step // pack.eval_interval + 1)
        if is_recorded(pack.shared, number)
    ]
    if missing := [number for number in wanted if number not in known]:
        raise RefusedError(
            f"the longer run is evaluated after step {missing[0]}, and that run was not; its "
            "number of steps has to be a multiple of that run's"
        )
    if pack.shared.epochs is not None:
        for number in wanted:
            if known[number].epoch != number // pack.eval_interval:
                raise RefusedError(f"its point of step {number} is of another epoch")
    return [known[number] for number in wanted]
