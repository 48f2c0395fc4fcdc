"""The finished runs of a tier, to show its results before all runs are trained.

With VAEBENCH_FINISHED_ONLY=1 snakemake trains nothing. It measures, collects, draws and judges the
runs that are trained, in each of their places (see `places.py`). The others are shown as *not run*.
"""

import os
from collections.abc import Iterator
from itertools import groupby

from vaebench.experiment.grid import Cell, Experiment, Run, expand
from vaebench.experiment.jobs import Job, JobRule, RunBlock
from vaebench.experiment.tier import Tier, load_tier
from vaebench.paths import Layout

FINISHED_ONLY = "VAEBENCH_FINISHED_ONLY"
AS_IT_IS = "as-it-is"
"""The value of the variable with which no place is filled. `snakemake --touch` marks results as
current, which they would not be with more runs than they were made from."""


def finished_only() -> bool:
    """Whether the environment variable asks to use only finished runs."""
    return os.environ.get(FINISHED_ONLY, "") not in ("", "0")


def fills_places() -> bool:
    """Whether empty places of finished runs are to be filled."""
    return finished_only() and os.environ.get(FINISHED_ONLY) != AS_IT_IS


def is_finished(layout: Layout, experiment: str, run: Run) -> bool:
    """Whether the files of a run exist. `collect` checks that they fit the tier."""
    folder = layout.run(experiment, run.folder)
    return all((folder / name).exists() for name in ("metrics.json", "arrays.npz"))


def finished_runs(tier: Tier, layout: Layout) -> list[tuple[Experiment, Run]]:
    """The trained runs of `Tier.runs`."""
    return [
        (experiment, run)
        for experiment, run in tier.runs
        if is_finished(layout, experiment.name, run)
    ]


def is_partial(layout: Layout) -> bool:
    """Whether some runs of a tier's config are not trained."""
    tier = load_tier(layout.config)
    return len(finished_runs(tier, layout)) < len(tier.runs)


def finished_jobs(tier: Tier, layout: Layout) -> list[JobRule]:
    """A rule with one job for each sequence of consecutive finished runs of a cell."""
    rules = []
    for experiment in tier.experiments:
        packs = [
            pack
            for cell in expand(experiment)
            for pack in _stretches(layout, experiment.name, cell)
        ]
        for k, pack in enumerate(packs):
            name = experiment.name if k == 0 else f"{experiment.name}__{k + 1}"
            rules.append(JobRule(name, experiment.name, (Job((pack,)),), ()))
    return rules


def _stretches(layout: Layout, experiment: str, cell: Cell) -> Iterator[RunBlock]:
    numbered = enumerate(cell.runs, 1)
    for finished, runs in groupby(numbered, lambda run: is_finished(layout, experiment, run[1])):
        if finished:
            numbers = [number for number, _ in runs]
            yield RunBlock(cell, numbers[0], numbers[-1])
