"""Training jobs: the runs that each job trains, and the rules of Snakemake that have these jobs.

A pack is a set of runs that are stacked and trained together. It is a run block: all runs of a
cell, or a part of them if the cell is too large for the machine. A job trains one pack, or several
small ones in turn.

The size of jobs (`runs_per_job`) is a property of the machine. It enters no settings, no hash and
nothing that Snakemake compares. So a change of it does not train any run again.
"""

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import TypeVar

from vaebench.errors import UserError
from vaebench.experiment.grid import Cell, Experiment, Run, expand
from vaebench.experiment.settings import AxisValue, Settings, format_value

T = TypeVar("T")


@dataclass(frozen=True)
class RunBlock:
    """Consecutive runs of one cell, which are trained together."""

    cell: Cell
    first: int
    last: int
    """The numbers of its first and last run in the cell, counted from 1."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs, in the order of the config."""
        return self.cell.runs[self.first - 1 : self.last]

    @property
    def shared(self) -> Settings:
        """As `Cell.shared`."""
        return self.cell.shared

    @property
    def is_whole(self) -> bool:
        """Whether these are all runs of the cell."""
        return len(self.runs) == len(self.cell.runs)

    @property
    def label(self) -> str:
        """The name of the pack in progress messages."""
        return f"{self.cell.folder}" + ("" if self.is_whole else f" runs {self.first}-{self.last}")


@dataclass(frozen=True)
class Job:
    """Consecutive packs of an experiment, which one process trains in turn."""

    blocks: tuple[RunBlock, ...]

    @property
    def label(self) -> str:
        """The name of the job in progress messages."""
        others = len(self.blocks) - 1
        return self.blocks[0].label + (f" and {others} more" if others else "")

    @property
    def options(self) -> str:
        """The options of `vaebench run` and `vaebench evaluate` that select this job."""
        cells = [f"--cell {shlex.quote(pack.cell.folder.as_posix())}" for pack in self.blocks]
        first = self.blocks[0]
        runs = [] if first.is_whole else [f"--runs {first.first}-{first.last}"]
        return " ".join(cells + runs)


@dataclass(frozen=True)
class JobRule:
    """The jobs of one rule of Snakemake. Their paths differ only in the rule's wildcards."""

    name: str
    """The name of the experiment, with a number from its second rule on."""
    experiment: str
    jobs: tuple[Job, ...]
    wildcards: tuple[str, ...]
    """The job axes. Empty for a rule with a single job, which lists all its runs."""

    @property
    def pattern(self) -> str:
        """The path of a job's log, with a wildcard for each job axis: `n~{n}/...`, or `.`."""
        first, others = self.jobs[0].blocks[0], len(self.jobs[0].blocks) - 1
        folder = _with_wildcards(self.wildcards) if self.wildcards else first.cell.folder
        if others:
            return f"{folder.as_posix()}_and_{others}_more"
        if not first.is_whole:
            folder /= f"runs~{first.first}-{first.last}"
        return folder.as_posix()

    @property
    def run_patterns(self) -> list[str]:
        """The folders of a job's runs, with wildcards for job axes and values for packed axes."""
        if not self.wildcards:
            return [run.folder.as_posix() for p in self.jobs[0].blocks for run in p.runs]
        pack = self.jobs[0].blocks[0]
        folder = _with_wildcards(self.wildcards)
        return [(folder / run.folder.relative_to(pack.cell.folder)).as_posix() for run in pack.runs]

    @property
    def constraints(self) -> dict[str, str]:
        """A regular expression for each wildcard. It matches only values that the cells have."""
        cells = [job.blocks[0].cell for job in self.jobs]
        return {
            axis: "|".join(dict.fromkeys(re.escape(format_value(c.job[axis])) for c in cells))
            for axis in self.wildcards
        }


def job_rules(experiment: Experiment, runs_per_job: int | None = None) -> list[JobRule]:
    """The rules that train an experiment. Their jobs are consecutive blocks of its runs.

    A cell with more runs than a job may have is divided into blocks of equal size. Smaller cells
    are combined, as many as fit into a job. Cells are combined only if their runs differ in
    numbers on axes, and in nothing else, such as their objective. Snakemake compares the settings
    and code that the runs of a job share. So these must not depend on which cells a job has.

    Args:
        experiment: an experiment of the tier.
        runs_per_job: the largest number of runs in a job. None for one job for each cell.
    """
    rules: list[tuple[tuple[str, ...], list[Job]]] = []
    for cells in _alike_in_paths(experiment):
        count = len(cells[0].runs)
        together = 1 if runs_per_job is None else runs_per_job // count
        if together < 2:
            blocks = 1 if runs_per_job is None else ceil(count / runs_per_job)
            for first, last in _blocks(count, blocks):
                rules.append(
                    (tuple(cells[0].job), [Job((RunBlock(c, first, last),)) for c in cells])
                )
        else:
            for kin in _alike_but_for_axes(experiment, cells):
                for start in range(0, len(kin), together):
                    packs = tuple(RunBlock(c, 1, count) for c in kin[start : start + together])
                    rules.append(((), [Job(packs)]))
    return [
        # No experiment can have a name with two underscores, so rule names are unique.
        JobRule(
            experiment.name if k == 0 else f"{experiment.name}__{k + 1}",
            experiment.name,
            tuple(jobs),
            wildcards,
        )
        for k, (wildcards, jobs) in enumerate(rules)
    ]


def shared_settings(experiment: Experiment, run: Run) -> dict[str, AxisValue]:
    """The settings of a run that are not in its path."""
    return {k: v for k, v in run.settings.given().items() if k not in experiment.axes}


def chosen_blocks(
    experiments: Sequence[Experiment], folders: Sequence[str] | None, runs: str | None
) -> list[tuple[str, RunBlock]]:
    """The packs that the options of a command select, each with the name of its experiment.

    Args:
        experiments: the experiments to select from.
        folders: the folders of cells. None for all cells.
        runs: the runs of a single cell, such as `1-30`. None for all runs.

    Raises:
        UserError: there is no such cell or run. The text lists those that there are.
    """
    found = [(e.name, cell) for e in experiments for cell in expand(e)]
    known = [cell.folder.as_posix() for _, cell in found]
    if folders is not None:
        if unknown := [folder for folder in folders if folder not in known]:
            listed = "\n".join(f"  {folder}" for folder in known)
            raise UserError(f"--cell: there is no job '{unknown[0]}'; there are:\n{listed}")
        found = [(name, cell) for name, cell in found if cell.folder.as_posix() in folders]
    if runs is None:
        return [(name, RunBlock(cell, 1, len(cell.runs))) for name, cell in found]
    match = re.fullmatch(r"(\d+)-(\d+)", runs)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if len(found) != 1 or not 1 <= first <= last <= len(found[0][1].runs):
        most = f" among 1-{len(found[0][1].runs)}" if len(found) == 1 else ""
        raise UserError(
            f"--runs: '{runs}' are not runs{most} of one --cell; write a range such as 1-30"
        )
    return [(name, RunBlock(cell, first, last)) for name, cell in found]


def _with_wildcards(axes: Sequence[str]) -> Path:
    return Path(*(f"{axis}~{{{axis}}}" for axis in axes))


def _alike_in_paths(experiment: Experiment) -> list[list[Cell]]:
    """The cells, grouped by the axes in their paths, in the order of the config.

    There are several groups if not all objectives take the same axes.
    """
    families: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in expand(experiment):
        tails = tuple(run.folder.relative_to(cell.folder) for run in cell.runs)
        families[tuple(cell.job), tails].append(cell)
    return list(families.values())


def _alike_but_for_axes(experiment: Experiment, cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells, grouped by everything that decides their results except numbers on axes.

    Groups are in the order of the config.
    """
    kin: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        run = cell.runs[0]
        named = [(k, v) for k, v in run.settings.given().items() if isinstance(v, str)]
        kin[tuple(named), tuple(shared_settings(experiment, run).items())].append(cell)
    return list(kin.values())


def _blocks(count: int, blocks: int) -> Iterator[tuple[int, int]]:
    """The first and last number of consecutive blocks, counted from 1.

    The blocks are as equal in length as possible.
    """
    edges = [round(count * k / blocks) for k in range(blocks + 1)]
    return ((start + 1, end) for start, end in pairwise(edges))
