"""Finds the folders of runs that a command measures, and their weights."""

from collections.abc import Iterable
from pathlib import Path

from vaebench.experiment.jobs import chosen_blocks
from vaebench.experiment.tier import Tier
from vaebench.paths import Layout


def runs_in_folders(folders: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Each folder of a run with the path of its weights, which may be missing.

    Raises:
        UserError: there is no run in a folder.
    """
    from vaebench.api.files import read_run, weights_places

    found = []
    for folder in folders:
        read_run(folder)
        places = weights_places(folder)
        found.append((folder, next((path for path in places if path.exists()), places[0])))
    return found


def runs_of_tier(
    config: Tier, experiment: str, cell: list[str] | None, runs: str | None
) -> list[tuple[Path, Path]]:
    """The same of runs of an experiment.

    Raises:
        UserError: the tier has no such experiment, or the experiment no such runs.
    """
    layout = Layout.of(config.tier)
    packs = chosen_blocks([config.experiment(experiment)], cell or None, runs)
    return [
        (layout.run(experiment, run.folder), layout.weights(experiment, run.folder))
        for _, pack in packs
        for run in pack.runs
    ]
