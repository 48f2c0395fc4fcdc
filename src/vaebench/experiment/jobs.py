"""Training jobs: which runs one job trains, and which jobs one rule of Snakemake stands for.

What is stacked and trained together is a pack: the runs of a cell, or a block of them where the
cell is too large for the machine. A job trains one pack or, where cells are small, several, one
after the other. How large jobs are is a setting of the machine (`runs_per_job`): it enters no
setting, no hash and nothing that Snakemake compares, so another size trains nothing again.
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
    """Runs of one cell that are trained together."""

    cell: Cell
    first: int
    last: int
    """Which of the cell's runs, from 1, both included."""

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
        """Names the pack for the person who watches."""
        return f"{self.cell.folder}" + ("" if self.is_whole else f" runs {self.first}-{self.last}")


@dataclass(frozen=True)
class Job:
    """Consecutive packs of an experiment that one process trains, one after the other."""

    blocks: tuple[RunBlock, ...]

    @property
    def label(self) -> str:
        """Names the job for the person who watches."""
        others = len(self.blocks) - 1
        return self.blocks[0].label + (f" and {others} more" if others else "")

    @property
    def options(self) -> str:
        """Names the job on the command line of `vaebench run` and `vaebench evaluate`."""
        cells = [f"--cell {shlex.quote(pack.cell.folder.as_posix())}" for pack in self.blocks]
        first = self.blocks[0]
        runs = [] if first.is_whole else [f"--runs {first.first}-{first.last}"]
        return " ".join(cells + runs)


@dataclass(frozen=True)
class JobRule:
    """The jobs that one rule stands for: their paths differ in wildcards alone."""

    name: str
    """The experiment's, with a number from its second rule on."""
    experiment: str
    jobs: tuple[Job, ...]
    wildcards: tuple[str, ...]
    """Job axes; none for a rule with one job that names all its runs."""

    @property
    def pattern(self) -> str:
        """Names a job in paths of logs, with a wildcard for each job axis: `n~{n}/...`, or `.`."""
        first, others = self.jobs[0].blocks[0], len(self.jobs[0].blocks) - 1
        folder = _with_wildcards(self.wildcards) if self.wildcards else first.cell.folder
        if others:
            return f"{folder.as_posix()}_and_{others}_more"
        if not first.is_whole:
            folder /= f"runs~{first.first}-{first.last}"
        return folder.as_posix()

    @property
    def run_patterns(self) -> list[str]:
        """The folders of a job's runs, with its wildcards and the values of the packed axes."""
        if not self.wildcards:
            return [run.folder.as_posix() for p in self.jobs[0].blocks for run in p.runs]
        pack = self.jobs[0].blocks[0]
        folder = _with_wildcards(self.wildcards)
        return [(folder / run.folder.relative_to(pack.cell.folder)).as_posix() for run in pack.runs]

    @property
    def constraints(self) -> dict[str, str]:
        """A regular expression for each wildcard that matches the cells' values alone."""
        cells = [job.blocks[0].cell for job in self.jobs]
        return {
            axis: "|".join(dict.fromkeys(re.escape(format_value(c.job[axis])) for c in cells))
            for axis in self.wildcards
        }


def job_rules(experiment: Experiment, runs_per_job: int | None = None) -> list[JobRule]:
    """The rules that train an experiment; their jobs are consecutive blocks of its runs.

    A cell of more runs than a job may have is divided into equal blocks. Cells that are smaller
    are put together, as many as fit, but never runs that differ in anything beside their place on
    the axes, such as the code of their objective: what a job's runs have in common is what
    Snakemake compares, and that must not depend on who is in it.

    Args:
        experiment: of the tier.
        runs_per_job: the most runs of a job; None for one job a cell.
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
        # Two underscores: no experiment can have such a name.
        JobRule(
            experiment.name if k == 0 else f"{experiment.name}__{k + 1}",
            experiment.name,
            tuple(jobs),
            wildcards,
        )
        for k, (wildcards, jobs) in enumerate(rules)
    ]


def shared_settings(experiment: Experiment, run: Run) -> dict[str, AxisValue]:
    """The settings of a run that its path does not tell."""
    return {k: v for k, v in run.settings.given().items() if k not in experiment.axes}


def chosen_blocks(
    experiments: Sequence[Experiment], folders: Sequence[str] | None, runs: str | None
) -> list[tuple[str, RunBlock]]:
    """The packs that a command line asks for, each with its experiment's name.

    Args:
        experiments: where they are looked for.
        folders: of cells; None for all.
        runs: which runs of the one cell, such as `1-30`; None for all.

    Raises:
        UserError: there is no such cell or run; says which there are.
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
        raise UserError(f"--runs: '{runs}' are no runs{most} of one --cell; write such as 1-30")
    return [(name, RunBlock(cell, first, last)) for name, cell in found]


def _with_wildcards(axes: Sequence[str]) -> Path:
    return Path(*(f"{axis}~{{{axis}}}" for axis in axes))


def _alike_in_paths(experiment: Experiment) -> list[list[Cell]]:
    """Cells by the axes they have, in the order of the config.

    There is more than one kind where not all objectives take the same axes.
    """
    families: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in expand(experiment):
        tails = tuple(run.folder.relative_to(cell.folder) for run in cell.runs)
        families[tuple(cell.job), tails].append(cell)
    return list(families.values())


def _alike_but_for_axes(experiment: Experiment, cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells by all that decides their result beside numbers on axes, in the order of the config."""
    kin: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        run = cell.runs[0]
        named = [(k, v) for k, v in run.settings.given().items() if isinstance(v, str)]
        kin[tuple(named), tuple(shared_settings(experiment, run).items())].append(cell)
    return list(kin.values())


def _blocks(count: int, blocks: int) -> Iterator[tuple[int, int]]:
    """First and last of consecutive blocks of as equal a length as can be, from 1."""
    edges = [round(count * k / blocks) for k in range(blocks + 1)]
    return ((start + 1, end) for start, end in pairwise(edges))
