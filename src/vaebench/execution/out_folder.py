"""Checks that the folder that runs are trained into has no runs of other settings."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vaebench.errors import UserError
from vaebench.experiment.grid import Run
from vaebench.experiment.settings import AxisValue, Settings
from vaebench.runs.record import admit_dataset, read_record


def check_out(out: Path, runs: Sequence[Run]) -> None:
    """Check that every run in a folder is one of these, or differs only in what its path says.

    So more seeds, or more values on another axis, can be added to the runs that are there. A record
    that cannot be read is ignored.

    Args:
        out: the folder for the results. It need not exist.
        runs: the runs that are to be written there.

    Raises:
        UserError: a run there has other settings. The text names it, the setting and both values.
    """
    planned = {out / run.folder: run for run in runs}
    for folder in _folders_of_runs(out):
        admit_dataset(folder / "metrics.json")
        try:
            there = read_record(folder / "metrics.json").run.given()
        except UserError:
            continue
        axes = [part.partition("~")[0] for part in folder.relative_to(out).parts]
        same_place = planned.get(folder)
        if same_place is not None:
            found = _differing(there, same_place, set())
        else:
            found = min((_differing(there, run, set(axes)) for run in runs), key=len)
        if found:
            name, here = found[0]
            raise UserError(
                f"{folder} holds a run of other settings: {name} is {there.get(name, 'not given')} "
                f"there, and {here} here. Give another folder (--out), or remove {out} (`vaebench "
                "train` keeps its runs in the store)"
            )


def _folders_of_runs(out: Path) -> Iterator[Path]:
    """The folders below `out` that hold a run. Their paths are made of `axis~value`."""
    for folder in sorted(out.glob("*~*/")):
        if (folder / "metrics.json").exists():
            yield folder
        yield from _folders_of_runs(folder)


def _differing(
    there: dict[str, AxisValue], run: Run, free: set[str]
) -> list[tuple[str, AxisValue | str]]:
    """The settings in which a run that was found differs from one that is to be trained.

    Args:
        there: the settings of the run that was found.
        run: the run that is to be trained.
        free: settings that may differ. If the objective is among them, so may parameters that only
            one of the two objectives takes.

    Returns:
        The name and the value of each setting in the run that is to be trained.
    """
    wanted = run.settings.given()
    names = there.keys() & wanted.keys() if "objective" in free else there.keys() | wanted.keys()
    return [
        (name, wanted.get(name, "not given"))
        for name in _in_order(names - free)
        if there.get(name) != wanted.get(name)
    ]


def _in_order(names: set[str]) -> list[str]:
    fields = list(Settings.model_fields)
    return sorted(names, key=lambda name: (fields.index(name) if name in fields else 99, name))
