"""What a tier's folder still has of an earlier config: runs, measures, figures, tables it named."""

from collections.abc import Iterator
from pathlib import Path

from vaebench.errors import UserError
from vaebench.experiment.grid import Experiment
from vaebench.experiment.tier import Tier
from vaebench.files import digest_bytes
from vaebench.paths import TABLE_FORMATS, Layout
from vaebench.reading.packed import unpack
from vaebench.runs.record import read_record
from vaebench.runs.store import (
    EVALUATION,
    MEASURED,
    FinishedRun,
    has_run,
    has_weights,
    keep_files,
    kept_evaluation,
    put_run,
    run_folder,
)

_MEASURES = {EVALUATION, *(file for files in MEASURED.values() for file in files)}


def left_over(tier: Tier, layout: Layout) -> list[Path]:
    """The sorted files of runs, measures, figures and tables that the config does not name."""
    runs = {f"{experiment.name}/{run.folder.as_posix()}" for experiment, run in tier.runs}
    unasked = {experiment.name: _unasked(experiment) for experiment in tier.experiments}
    tables = {experiment.name for experiment in tier.experiments}
    return sorted(
        [
            *(
                path
                for path, run in _of_runs(layout)
                if run not in runs or path.name in unasked[run.partition("/")[0]]
            ),
            *([] if any(e.equations_plan for e in tier.experiments) else _of_equations(layout)),
            *_others(layout.root / "figures", set(tier.figures)),
            *_others(layout.root / "tables", tables),
        ]
    )


def tidy(tier: Tier, layout: Layout, store: Path) -> int:
    """Remove what is left over of an earlier config. Runs and measures stay in the store.

    The manifest is removed too, since it names what is gone. The workflow writes it anew.
    Classifiers stay, since sample quality that the store keeps was measured with them.

    Args:
        tier: the tier, as its config is now.
        layout: the places of its files.
        store: the store of finished runs.

    Returns:
        The number of files that were removed.

    Raises:
        UserError: a run to be removed is damaged. Nothing is removed then.
    """
    found = left_over(tier, layout)
    for path in found:
        if path.name == "metrics.json":
            _keep(layout, path.parent, store)
    for folder in {path.parent for path in found if path.name in _MEASURES}:
        if (folder / "metrics.json").exists():
            _keep_measures(folder, store)
    if found:
        layout.manifest.unlink(missing_ok=True)
    for path in found:
        path.unlink()
        for folder in path.relative_to(layout.root).parents:
            if not any((layout.root / folder).iterdir()):
                (layout.root / folder).rmdir()
    return len(found)


def _unasked(experiment: Experiment) -> set[str]:
    """The names of the files of measures that an experiment does not ask for."""
    asked = {EVALUATION} if experiment.sample_quality else set()
    for name in experiment.plans:
        asked.update(MEASURED[name])
    return _MEASURES - asked


def _of_runs(layout: Layout) -> Iterator[tuple[Path, str]]:
    """The files of runs, each with the run's folder below `runs/`."""
    for folder in ("runs", "weights", "codes"):
        root = layout.root / folder
        for path in root.rglob("*"):
            if path.is_file():
                place = path.with_suffix("") if folder == "codes" else path.parent
                yield path, place.relative_to(root).as_posix()


def _of_equations(layout: Layout) -> list[Path]:
    tables = [layout.equation_table(extension) for extension in TABLE_FORMATS]
    return [path for path in (layout.equation_values, *tables) if path.exists()]


def _others(folder: Path, names: set[str]) -> list[Path]:
    return [path for path in folder.glob("*") if path.is_file() and path.stem not in names]


def _keep(layout: Layout, folder: Path, store: Path) -> None:
    """Put a run into the store, unless it is there."""
    record = read_record(folder / "metrics.json")
    arrays = folder / "arrays.npz"
    if not arrays.exists():
        raise UserError(f"{arrays} is missing: remove {folder} yourself")
    weights = layout.root / "weights" / folder.relative_to(layout.root / "runs")
    content = next((path.read_bytes() for path in weights.glob("*.safetensors")), None)
    if content is not None and digest_bytes(content) != record.digests.weights:
        raise UserError(f"the weights in {weights} are not those of its run: remove them yourself")
    lacks_weights = content is not None and not has_weights(store, record.run_hash)
    if lacks_weights or not has_run(store, record.run_hash):
        written = unpack((folder / "metrics.json").read_bytes())
        put_run(store, FinishedRun(record, arrays.read_bytes(), content, written))


def _keep_measures(folder: Path, store: Path) -> None:
    """Put what was measured on a run into the store, unless it is there."""
    run_hash = read_record(folder / "metrics.json").run_hash
    kept = run_folder(store, run_hash)
    if (folder / EVALUATION).exists() and not kept_evaluation(store, run_hash).exists():
        keep_files(store, run_hash, folder, [EVALUATION])
    for names in MEASURED.values():
        if all((folder / name).exists() and not (kept / name).exists() for name in names):
            keep_files(store, run_hash, folder, names)
