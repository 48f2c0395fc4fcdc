"""What the Snakemake rules ask of the grid: patterns, constraints and parameters of jobs."""

import atexit
import getpass
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vaebench.data.prepared import data_digest, manifest_path
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.experiment.grid import Experiment, Run
from vaebench.experiment.jobs import Job, JobRule, shared_settings
from vaebench.experiment.tier import Tier, dump_tier, find_tier
from vaebench.files import digest_bytes, has_text, write_atomically
from vaebench.paths import DATA, TABLE_FORMATS, Layout
from vaebench.provenance.figure_metadata import figure_metadata
from vaebench.quality.needs import check_measurable
from vaebench.reading.parsing import parsing
from vaebench.reading.text import read_text
from vaebench.runs.measures import MEASURES
from vaebench.runs.run_hash import combine, run_hashes
from vaebench.runs.sources import lasting_source_digest

DEFAULT_TIER = "paper"
FIGURES_PER_JOB = 8
"""Figures that one job draws; `workflow/report/figure/` has a template for each."""


def tier_file(config_files: Sequence[Path | str], config: Mapping[str, Any]) -> Path:
    """The config that snakemake was started for: the one `--configfile`, or the paper's.

    Args:
        config_files: the files of `--configfile`, and that of the directive `configfile:` in a
            Snakefile that uses this workflow as a module.
        config: what Snakemake made of these files and of `--config`.

    Raises:
        UserError: several config files or single values were given.
    """
    files = [Path(file) for file in config_files]
    if len(files) > 1:
        names = " and ".join(path.name for path in files)
        raise UserError(f"give one --configfile: tiers are never merged (found {names})")
    said: Any = {}
    if files:
        with parsing(files[0], "a config", "see the examples in config/"):
            # As Snakemake reads it, whose values are compared with these.
            said = yaml.safe_load(read_text(files[0], "")) or {}
    overrides = [key for key in config if key not in said or config[key] != said[key]]
    if overrides:
        keys = ", ".join(sorted(overrides))
        raise UserError(f"--config ({keys}) is not taken: change the config file, or copy it")
    return files[0] if files else find_tier(DEFAULT_TIER)


def put_own_commands_on_path() -> None:
    """Let jobs find `vaebench` beside this Python, whether or not its environment is activated."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def name_user() -> None:
    """Give the user a name, which Snakemake asks for. A container may run under an unknown number.

    It goes into no record.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = "unknown"


def environment_file(rules: str) -> str:
    """The file of the conda environment, as the rules name it.

    Snakemake takes braces in an absolute path for wildcards, and makes it absolute before it looks.

    Args:
        rules: the folder of the rules, or its address.
    """
    if not set("{}") & set(rules):
        return "../envs/vaebench.yaml"
    path = Path(rules).parent / "envs" / "vaebench.yaml"
    return str(path).replace("{", "{{").replace("}", "}}")


def whole_number(default_resources: Mapping[str, Any], name: str, least: int) -> int | None:
    """A number that a profile says in its `default-resources`; None if it does not.

    Args:
        default_resources: the profile's.
        name: `runs_per_job`, the most runs that one job trains, or `retries`, how often a job is
            tried again.
        least: the smallest number that it may be.

    Raises:
        UserError: it is not a whole number, or too small.
    """
    wish = default_resources.get(name)
    text = str(getattr(wish, "raw", wish))
    if text == "None":  # an empty `--default-resources` sets what it does not name to that
        return None
    if not re.fullmatch(r"\d+", text) or int(text) < least:
        kind = "positive whole number" if least == 1 else "whole number"
        raise UserError(f"default-resources: {name} has to be a {kind} (found {text})")
    return int(text)


def gpu_of_a_job(default_resources: Mapping[str, Any], expected: bool) -> dict[str, int]:
    """The resource `gpu` of a training job, unless the profile says how a GPU is asked for.

    Args:
        default_resources: the profile's.
        expected: whether training will probably run on a GPU.
    """
    said = {"gpu", "gres"} & set(default_resources)
    return {} if said else {"gpu": int(expected)}


def run_files(layout: Layout, runs: Iterable[tuple[Experiment, Run]]) -> list[Path]:
    """The files of these runs that are collected."""
    names = ["metrics.json", "arrays.npz"]
    return [
        layout.run(experiment.name, run.folder) / name
        for experiment, run in runs
        for name in [
            *names,
            *(["evaluation.json"] if experiment.sample_quality else []),
            *(file for measure in experiment.plans for file in MEASURES[measure].files),
        ]
    ]


def for_job(
    rule: JobRule, value: Callable[[Job], Any], flag: Callable[[Any], Any] = lambda x: x
) -> Callable[[Mapping[str, str]], Any]:
    """A function of a job's wildcards, for a rule's inputs or parameters.

    Args:
        rule: the job's rule.
        value: what is wanted of the job.
        flag: Snakemake's mark on it, such as `ancient`.
    """
    jobs = {job.blocks[0].cell.folder.as_posix(): job for job in rule.jobs}
    folder = "/".join(f"{axis}~{{{axis}}}" for axis in rule.wildcards)

    def of_wildcards(wildcards: Mapping[str, str]) -> Any:
        if not folder:
            return flag(value(rule.jobs[0]))
        return flag(value(jobs[folder.format(**dict(wildcards.items()))]))

    return of_wildcards


def untracked(
    rule: JobRule, value: Callable[[Job], str]
) -> Callable[[Mapping[str, str], Any], str]:
    """As `for_job`, for a parameter that Snakemake does not compare, since it takes `output`.

    So a job whose members are others than before is not run again for their sake.
    """
    of_wildcards = for_job(rule, value)

    def of_output(wildcards: Mapping[str, str], output: Any) -> str:  # noqa: ARG001
        return str(of_wildcards(wildcards))

    return of_output


def job_data(layout: Layout, experiment: str, result: str) -> Callable[[Job], list[str]]:
    """The manifest of the dataset from which a job makes a file named `result` for each run."""

    def needed(job: Job) -> list[str]:
        made = [layout.run(experiment, r.folder) / result for p in job.blocks for r in p.runs]
        return needed_data(_first(job).settings.dataset, made)

    return needed


def data_manifest(dataset: str) -> Path:
    """The manifest of a prepared dataset. It stands for the data's bytes in the workflow."""
    return manifest_path(DATA / "prepared", dataset)


def needed_data(dataset: str, made: Sequence[Path]) -> list[str]:
    """The manifest of a dataset; none if it is not here and what is made from it is.

    For the sake of one run that is new, Snakemake would prepare the data, and then make everything
    again that has them as input, in a clone that imported it.
    """
    manifest = data_manifest(dataset)
    is_idle = not manifest.exists() and all(path.exists() for path in made)
    return [] if is_idle else [manifest.as_posix()]


def job_classifier(layout: Layout, job: Job) -> str:
    """The record of the classifier that measures the samples of the job's runs."""
    return layout.classifier(_first(job).settings.dataset).as_posix()


def job_made_from(experiment: Experiment) -> Callable[[Job], str]:
    """One digest of all that decides the results of a job's runs beside their paths.

    Snakemake reruns the job when it changes. It is the same whatever runs are in the job.
    """

    def digest(job: Job) -> str:
        run = _first(job)
        shared = json.dumps(shared_settings(experiment, run), sort_keys=True)
        sources = lasting_source_digest(run.settings)
        return combine(digest_bytes(shared.encode()), sources, dataset_digest(run.settings.dataset))

    return digest


def measured_from(experiment: Experiment, measure: str) -> str:
    """One digest of what decides a measure of runs beside their weights: its plan and its code.

    Args:
        experiment: of the runs.
        measure: one of `MEASURES`.
    """
    plan, code = experiment.plans.get(measure), MEASURES[measure].digest()
    return digest_bytes(f"{plan.model_dump_json() if plan else ''}\n{code}".encode())


def collected_equations(tier: Tier, layout: Layout) -> list[Path]:
    """The table of equations, if the tier measures them on an experiment."""
    measured = any(experiment.equations_plan is not None for experiment in tier.experiments)
    return [layout.equation_values] if measured else []


def lost_codes(layout: Layout, runs: Iterable[tuple[Experiment, Run]]) -> list[Path]:
    """The files of codes that are missing beside a page that is there.

    The page's job makes all of them. Snakemake compares each file that it is asked for with each
    output of that job, so asking for all of them takes a time that grows as the square of the runs.
    """
    if not layout.report.exists():
        return []
    codes = (layout.run_codes(experiment.name, run.folder) for experiment, run in runs)
    return [path for path in codes if not path.exists()]


def equation_tables(tier: Tier, layout: Layout) -> list[Path]:
    """The files of the table of equations, if there is one."""
    formats = TABLE_FORMATS if collected_equations(tier, layout) else ()
    return [layout.equation_table(extension) for extension in formats]


def figure_jobs(figures: Sequence[str]) -> list[list[str]]:
    """The figures that each job draws."""
    starts = range(0, len(figures), FIGURES_PER_JOB)
    return [list(figures[start : start + FIGURES_PER_JOB]) for start in starts]


def figure_label(layout: Layout, name: str) -> Callable[[Any], dict[str, str]]:
    """A function that tells the name and the title of a drawn figure to Snakemake's report."""

    def label(wildcards: Any) -> dict[str, str]:  # noqa: ARG001
        title = figure_metadata(layout.figure(name, "svg"))["Title"].partition(": ")[2]
        return {"figure": name, "title": title}

    return label


def shown_captions(wildcards: Any, output: Any) -> list[str]:  # noqa: ARG001
    """The captions of drawn figures for Snakemake's report, in reStructuredText; else nothing.

    Snakemake does not compare a parameter that takes `output`, so that a new caption is no reason
    to draw figures again.

    Args:
        wildcards: those of the rule.
        output: the figures' files, of which `captions` are their captions.
    """
    texts = [
        path.read_text("utf-8", errors="replace") if path.exists() else ""
        for path in map(Path, output.captions)
    ]
    return [re.sub(r"([\\*`|_\[\]])", r"\\\1", " ".join(text.split())) for text in texts]


def _first(job: Job) -> Run:
    return job.blocks[0].runs[0]


@dataclass(frozen=True)
class PlanFiles:
    """The files that say what is planned, as inputs of rules."""

    config: Path
    """The resolved config."""
    hashes: Path
    """The hashes of all runs."""
    any_config: Path
    """The resolved config, or an earlier one if that is there. It is for rules that take it as
    ancient, so that a new config does not run their jobs again."""


def note_plan(tier: Tier, layout: Layout) -> PlanFiles:
    """Write down what is planned, unless it stands there: the resolved config and all run hashes.

    Snakemake knows what made a file from its own metadata, which a clone does not have. The dates
    of these files tell it nonetheless that results are older than the code or the config that they
    should come from, so that they are checked again and refused.

    Raises:
        UserError: a claim of the tier is wrong, or samples cannot be measured with a dataset.
    """
    # A tier that measures no samples has it empty: DVC wants every output that it is told of.
    (layout.root / "classifiers").mkdir(parents=True, exist_ok=True)
    for path, text in _plan(tier, layout).items():
        if not _has(path, text):
            write_atomically(path, text.encode())
    return plan_files(layout)


def plan_files(layout: Layout) -> PlanFiles:
    """The files that `note_plan` wrote."""
    return PlanFiles(layout.config, layout.hashes, layout.config)


def note_dry_plan(tier: Tier, layout: Layout) -> PlanFiles:
    """As `note_plan`, for a dry run: what is not written down yet goes to a temporary folder.

    The folder is removed with this process. Snakemake plans the same jobs as in a run, since
    another file is as much a reason to run a job as a newer file.
    """
    folder = Path(tempfile.mkdtemp(prefix="vaebench-dry-run-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    places = {}
    for path, text in _plan(tier, layout).items():
        places[path] = path
        if not _has(path, text):
            places[path] = folder / path.name
            places[path].write_text(text, encoding="utf-8")
    config = places[layout.config]
    any_config = layout.config if layout.config.exists() else config
    return PlanFiles(config, places[layout.hashes], any_config)


def _plan(tier: Tier, layout: Layout) -> dict[Path, str]:
    check_claims(tier)
    check_measurable(tier, DATA / "prepared")
    found = run_hashes(run.settings for _, run in tier.runs)
    hashes = [
        f"{one} {experiment.name}/{run.folder.as_posix()}\n"
        for one, (experiment, run) in zip(found, tier.runs, strict=True)
    ]
    return {layout.config: dump_tier(tier, layout.root), layout.hashes: "".join(hashes)}


def _has(path: Path, text: str) -> bool:
    return has_text(path, text)


def check_claims(tier: Tier) -> None:
    """Check the claims that a tier's config adds to the paper's, before anything is trained.

    Raises:
        UserError: one is wrong.
    """
    if tier.claims:
        from vaebench.claims.paper import own_claims  # it imports what planning can do without

        own_claims(tier)


def dataset_digest(name: str) -> str:
    """The digest of a dataset's bytes."""
    return data_digest(DATA / "prepared", name)


def measured_datasets(runs: Iterable[tuple[Experiment, Run]]) -> list[str]:
    """The datasets of those runs whose samples are measured."""
    measured = (run.settings.dataset for experiment, run in runs if experiment.sample_quality)
    return list(dict.fromkeys(measured))


def data_options(tier: Tier, layout: Layout) -> list[str]:
    """The options of `vaebench data` with which it prepares the datasets of a tier."""
    entries = [DATASETS[name] for name in datasets(tier)]
    needs_tier = bool(tier.datasets) or any(entry.source is not None for entry in entries)
    described = [f"--tier={layout.config}"] if needs_tier else []
    return [*(f"--mirror={mirror}" for mirror in tier.execution.mirrors), *described]


def datasets(tier: Tier) -> list[str]:
    """The datasets that a tier trains on."""
    return list(dict.fromkeys(run.settings.dataset for _, run in tier.runs))
