"""What the Snakemake rules ask of the grid: patterns, constraints and parameters of jobs."""

import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaebench.config import Tier, dump_tier, find_tier
from vaebench.data.prepared import data_digest
from vaebench.errors import UserError
from vaebench.files import write_atomically
from vaebench.grid import Cell, Experiment, expand
from vaebench.layout import DATA, Layout, data_manifest
from vaebench.provenance import run_hash
from vaebench.settings import format_value

DEFAULT_TIER = "paper"


def tier_file(config_files: Sequence[Path], overrides: Mapping[str, Any], project: Path) -> Path:
    """The config that snakemake was started for: the one `--configfile`, or the paper's.

    It is read from the file itself, since Snakemake would merge several into one.

    Raises:
        UserError: several config files or single values were given.
    """
    if overrides:
        keys = ", ".join(sorted(overrides))
        raise UserError(f"--config ({keys}) is not taken: change the config file, or copy it")
    if len(config_files) > 1:
        names = " and ".join(path.name for path in config_files)
        raise UserError(f"give one --configfile: tiers are never merged (found {names})")
    return config_files[0] if config_files else project / find_tier(DEFAULT_TIER)


def beside_snakefile(file: str, folder: str) -> Path:
    """A file of the project from the working directory: the same path wherever both lie."""
    return Path(os.path.relpath(Path(folder) / file))


def put_own_commands_on_path() -> None:
    """Let jobs find `vaebench` beside this Python, whether or not its environment is activated."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


@dataclass(frozen=True)
class Part:
    """The cells of an experiment that one rule trains: their paths differ in wildcards alone.

    An experiment has more than one where not all its objectives take the same axes.
    """

    name: str
    """Of the part: the experiment's, with a number from the second on."""
    experiment: str
    cells: tuple[Cell, ...]

    @property
    def pattern(self) -> str:
        """The folder of a training job with a wildcard for each job axis: `n~{n}/...`, or `.`."""
        return Path(*(f"{axis}~{{{axis}}}" for axis in self.cells[0].job)).as_posix()

    @property
    def run_patterns(self) -> list[str]:
        """The folders of a job's runs: its pattern with the values of the packed axes."""
        return [(Path(self.pattern) / tail).as_posix() for tail in _tails(self.cells[0])]

    @property
    def constraints(self) -> dict[str, str]:
        """A regular expression for each wildcard that matches the cells' values alone."""
        first = self.cells[0].job
        return {
            axis: "|".join(dict.fromkeys(re.escape(format_value(c.job[axis])) for c in self.cells))
            for axis in first
        }


def parts(experiment: Experiment) -> list[Part]:
    """The cells of an experiment by the rules that train them, in the order of the config."""
    families: dict[tuple[Any, ...], list[Cell]] = defaultdict(list)
    for cell in expand(experiment):
        families[tuple(cell.job), tuple(_tails(cell))].append(cell)
    return [
        # Two underscores: no experiment can have such a name.
        Part(
            experiment.name if k == 0 else f"{experiment.name}__{k + 1}", experiment.name, tuple(c)
        )
        for k, c in enumerate(families.values())
    ]


def _tails(cell: Cell) -> list[Path]:
    return [run.folder.relative_to(cell.folder) for run in cell.runs]


def run_files(layout: Layout, experiment: Experiment) -> list[Path]:
    """The files of all runs of an experiment that are collected."""
    names = ["metrics.json", "arrays.npz"]
    if experiment.sample_quality:
        names.append("evaluation.json")
    return [
        layout.run(experiment.name, run.folder) / name
        for cell in expand(experiment)
        for run in cell.runs
        for name in names
    ]


def for_cell(
    part: Part, value: Callable[[Cell], Any], flag: Callable[[Any], Any] = lambda x: x
) -> Callable[[Mapping[str, str]], Any]:
    """A function of a job's wildcards, for a rule's inputs or parameters.

    Args:
        part: the job's part of an experiment.
        value: what is wanted of the job's cell.
        flag: Snakemake's mark on it, such as `ancient`.
    """
    cells = {cell.folder.as_posix(): cell for cell in part.cells}

    def of_wildcards(wildcards: Mapping[str, str]) -> Any:
        return flag(value(cells[part.pattern.format(**dict(wildcards.items()))]))

    return of_wildcards


def cell_folder(cell: Cell) -> str:
    """Names the job on the command line."""
    return cell.folder.as_posix()


def cell_data(cell: Cell) -> str:
    """The manifest of the dataset that the job trains on."""
    return data_manifest(cell.runs[0].settings.dataset).as_posix()


def cell_classifier(layout: Layout, cell: Cell) -> str:
    """The record of the classifier that measures the samples of the job's runs."""
    return layout.classifier(cell.runs[0].settings.dataset).as_posix()


def cell_hashes(cell: Cell) -> list[str]:
    """The hashes of the job's runs: Snakemake reruns the job when one changes."""
    return [run_hash(run.settings) for run in cell.runs]


def note_plan(tier: Tier, layout: Layout) -> None:
    """Write down what is planned, unless it stands there: the resolved config and all run hashes.

    Snakemake knows what made a file from its own metadata, which a clone does not have. The dates
    of these files tell it nonetheless that results are older than the code or the config that they
    should come from, so that they are checked again and refused.
    """
    hashes = [
        f"{run_hash(run.settings)} {experiment.name}/{run.folder.as_posix()}\n"
        for experiment in tier.experiments
        for cell in expand(experiment)
        for run in cell.runs
    ]
    # A tier that measures no samples has it empty: DVC wants every output that it is told of.
    (layout.root / "classifiers").mkdir(parents=True, exist_ok=True)
    for path, text in ((layout.config, dump_tier(tier)), (layout.hashes, "".join(hashes))):
        if not path.exists() or path.read_text() != text:
            write_atomically(path, text.encode())


def dataset_digest(name: str) -> str:
    """The digest of a dataset's bytes."""
    return data_digest(DATA / "prepared", name)


def measured_datasets(tier: Tier) -> list[str]:
    """The datasets of runs whose samples are measured."""
    cells = [cell for e in tier.experiments if e.sample_quality for cell in expand(e)]
    return list(dict.fromkeys(cell.runs[0].settings.dataset for cell in cells))


def datasets(tier: Tier) -> list[str]:
    """The datasets that a tier trains on."""
    cells = [cell for experiment in tier.experiments for cell in expand(experiment)]
    return list(dict.fromkeys(cell.runs[0].settings.dataset for cell in cells))
