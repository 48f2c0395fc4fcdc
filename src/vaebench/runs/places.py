"""The places of a tier that have the same run, such as in two experiments of the paper's grid.

A run is trained once, and each job takes it from the store. Where nothing is trained, no job comes
to the other places of a finished run, so they are filled here.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vaebench.errors import UserError
from vaebench.experiment.grid import Experiment, Run
from vaebench.experiment.tier import Tier
from vaebench.files import digest_file, write_atomically
from vaebench.paths import Layout
from vaebench.progress import log
from vaebench.reading.thin import is_copy_of
from vaebench.runs.finished import is_finished
from vaebench.runs.measured import is_measured
from vaebench.runs.record import ClassifierRecord, RunRecord, read_as, read_record
from vaebench.runs.run_hash import accepted_hashes
from vaebench.runs.store import (
    EVALUATION,
    MEASURED,
    WEIGHTS,
    has_run,
    kept_evaluation,
    run_folder,
)


@dataclass(frozen=True)
class _Source:
    """The files of a finished run, in a place of the tier or in the store. Some may be missing."""

    folder: Path
    """The folder of metrics.json and arrays.npz."""
    weights: Path
    evaluation: Path


@dataclass(frozen=True)
class Filling:
    """An empty place with the files that fill it, each at its path. They are checked."""

    experiment: str
    run: Run
    files: dict[Path, Path]
    """For each path that is to be written, the file whose content it gets. metrics.json is last,
    since a place counts as finished with it."""


def fillings(tier: Tier, layout: Layout, store: Path) -> list[Filling]:
    """The empty places of a tier whose run is finished in another place or in the store.

    A place where something is to be measured on the weights is left out if that cannot be done: if
    the run comes without its weights, and was not measured before. Samples must have been measured
    by this code with the tier's classifier.

    Args:
        tier: the tier.
        layout: the places of its files.
        store: the store of finished runs.

    Raises:
        UserError: a run has no hash, see `run_hash`.
    """
    places: dict[str, list[tuple[Experiment, Run]]] = defaultdict(list)
    for experiment, run in tier.runs:
        places[run.settings.digest].append((experiment, run))
    found = []
    for same in places.values():
        empty = [(e, run) for e, run in same if not is_finished(layout, e.name, run)]
        if not empty:
            continue
        hashes = accepted_hashes(empty[0][1].settings)
        filled = [(e, run) for e, run in same if is_finished(layout, e.name, run)]
        sources = [*_in_tier(layout, filled), *_in_store(store, hashes)]
        for experiment, run in empty:
            files = _files(layout, experiment, run, sources, hashes)
            if files:
                found.append(Filling(experiment.name, run, files))
    return found


def fill_places(tier: Tier, layout: Layout, store: Path) -> int:
    """Fill the empty places of a tier whose run is finished elsewhere. Returns their number.

    Args and errors as in `fillings`.
    """
    found = fillings(tier, layout, store)
    for filling in found:
        for target, source in filling.files.items():
            write_atomically(target, source.read_bytes())
        measured = layout.evaluation(filling.experiment, filling.run.folder)
        if measured in filling.files:
            os.utime(measured)  # Snakemake would measure again what is older than the run.
    if found:
        log.info(f"{len(found)} places of {layout.root} have runs that are finished elsewhere")
    return len(found)


def _in_tier(layout: Layout, places: list[tuple[Experiment, Run]]) -> Iterator[_Source]:
    for experiment, run in places:
        name, folder = experiment.name, run.folder
        yield _Source(
            layout.run(name, folder), layout.weights(name, folder), layout.evaluation(name, folder)
        )


def _in_store(store: Path, hashes: list[str]) -> Iterator[_Source]:
    for run_hash in hashes:
        if has_run(store, run_hash):
            folder = run_folder(store, run_hash)
            yield _Source(folder, folder / WEIGHTS, kept_evaluation(store, run_hash))


def _files(
    layout: Layout, experiment: Experiment, run: Run, sources: list[_Source], hashes: list[str]
) -> dict[Path, Path]:
    """The files that fill a place, see `Filling.files`. Empty if it cannot be filled."""
    for source in sources:
        record = _current(source, hashes)
        if record is None:
            continue
        place = layout.run(experiment.name, run.folder)
        files = {}
        for other in sources:
            if _is_file(other.weights, record.digests.weights):
                files[layout.weights(experiment.name, run.folder)] = other.weights
        needs_weights = not all(_was_measured(name, sources) for name in experiment.plans)
        if experiment.sample_quality:
            measured = _measured(layout, record, sources)
            if measured is not None:
                files[place / EVALUATION] = measured
            else:
                needs_weights = True
        if needs_weights and layout.weights(experiment.name, run.folder) not in files:
            continue
        names = ("arrays.npz", "metrics.json")
        return files | {place / name: source.folder / name for name in names}
    return {}


def _current(source: _Source, hashes: list[str]) -> RunRecord | None:
    """The record of a run if it counts as current and its arrays are whole."""
    try:
        record = read_record(source.folder / "metrics.json")
    except UserError:
        return None  # `collect` names the damaged place, and `vaebench run` the damaged run
    if record.run_hash not in hashes:
        return None
    return record if is_copy_of(source.folder / "arrays.npz", record.digests.arrays) else None


def _is_file(path: Path, digest: str) -> bool:
    return path.exists() and digest_file(path) == digest


def _was_measured(name: str, sources: list[_Source]) -> bool:
    """Whether a place of a run or the store has this measurement. The job checks and copies it."""
    return any(
        all((source.folder / file).exists() for file in MEASURED[name]) for source in sources
    )


def _measured(layout: Layout, record: RunRecord, sources: list[_Source]) -> Path | None:
    """An evaluation of the run with the tier's classifier, if there is one."""
    path = layout.classifier(record.run.dataset)
    try:
        classifier = read_as(ClassifierRecord, path, "")
    except UserError:
        return None
    for source in sources:
        if is_measured(source.evaluation, record, classifier):
            return source.evaluation
    return None
