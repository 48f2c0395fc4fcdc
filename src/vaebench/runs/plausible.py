"""Whether a finished run makes sense, beyond its digests, which anybody can make anew.

What is refused here was not made by this package, or by a part of it that is wrong.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from vaebench.errors import UserError
from vaebench.reading.arrays import arrays_of
from vaebench.runs.record import HistoryPoint, RunRecord

FIRST_EPOCHS = 10
EVERY = 5
"""The history has the first epochs, then every fifth, and the last one."""
INTERVALS = 20
"""Of a training that is counted in steps, the history has every twentieth."""


def check_run(record: RunRecord, arrays: bytes) -> None:
    """Check a finished run before it is stored.

    Args:
        record: its record.
        arrays: the content of its arrays.npz.

    Raises:
        UserError: `problem_of` the record, or an array is missing or of another size than the
            latent dimensions.
    """
    name = f"run {record.run_hash[:12]}"
    if problem := problem_of(record):
        raise UserError(f"{name} is refused: {problem}")
    n = record.run.latent_dim
    found = arrays_of(arrays, Path(f"arrays.npz of {name}"), "")
    for array in ("kl", "prior_std"):
        if array not in found:
            raise UserError(f"{name} is refused: its arrays.npz lacks '{array}'")
        if found[array].size != n:
            raise UserError(
                f"{name} is refused: '{array}' has the shape {list(found[array].shape)}, and there "
                f"are {n} latent dimensions"
            )


def problem_of(record: RunRecord) -> str | None:
    """What of a record cannot be. None if nothing is found."""
    run = record.run
    diverged = record.status == "diverged"
    if diverged != (record.diverged_step is not None):
        return f"its status is {record.status}, and its diverged_step {record.diverged_step}"
    if record.digests.settings != run.digest:
        return "it names the digest of other settings than it has"
    first, last = (record.history[k].step if record.history else 0 for k in (0, -1))
    if problem := history_problem(record.history, expected_points(run.epochs, run.steps, first)):
        return problem
    if record.diverged_step is not None and not 1 <= record.diverged_step <= last:
        return f"it diverged at step {record.diverged_step} of {last}"
    if not 0 <= record.final.test.active_units <= run.latent_dim:
        return f"it has {record.final.test.active_units} active of {run.latent_dim} dimensions"
    if record.timing.seconds < 0 or record.worker.threads < 1 or record.worker.packed_runs < 1:
        return "its time, its threads or the number of its runs is negative or 0"
    return None


def expected_points(
    epochs: int | None, steps: int | None, steps_per_epoch: int
) -> Iterator[tuple[int | None, int]]:
    """The epoch and the step of each point of a history.

    Args:
        epochs: of the whole training. None if it is counted in steps.
        steps: of the whole training. None if it is counted in epochs.
        steps_per_epoch: its steps in each epoch.
    """
    if epochs is not None:
        yield from ((number, number * steps_per_epoch) for number in _recorded(epochs))
        return
    total = steps or 0
    interval = max(1, total // INTERVALS)
    for number in range(1, math.ceil(total / interval) + 1):
        yield None, min(number * interval, total)


def history_problem(
    points: Sequence[HistoryPoint], expected: Iterable[tuple[int | None, int]]
) -> str | None:
    """How a history differs from what it should have. None if it does not."""
    found = [(point.epoch, point.step) for point in points]
    # The expected ones may be a thousand million, of which none is made that is not compared.
    for number, (there, wanted) in enumerate(zip_longest(found, expected), 1):
        if there is None:
            return f"its history ends after {len(found)} points, before {_shown(wanted)}"
        if wanted is None or there != wanted or wanted[1] < 1:
            return (
                f"point {number} of its history is of {_shown(there)}"
                f"{'' if wanted is None else f', not of {_shown(wanted)}'}"
            )
    return None


def _shown(point: tuple[int | None, int]) -> str:
    epoch, step = point
    return f"step {step}" if epoch is None else f"epoch {epoch}, step {step}"


def _recorded(epochs: int) -> Iterator[int]:
    """The numbers of the epochs after which a training is evaluated."""
    yield from range(1, min(FIRST_EPOCHS, epochs) + 1)
    yield from range(FIRST_EPOCHS + EVERY, epochs + 1, EVERY)
    if epochs > FIRST_EPOCHS and epochs % EVERY:
        yield epochs
