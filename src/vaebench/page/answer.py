"""The answer of a tier: what each group of runs of an experiment reached, against the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median_high
from typing import Any

import pandas as pd

from vaebench.experiment.comparison import Comparison, comparison_of
from vaebench.experiment.settings import format_value
from vaebench.reporting import numbers
from vaebench.reporting.answers import Answers
from vaebench.results.compare import paired_difference
from vaebench.results.intervals import Estimate, estimate
from vaebench.results.read import Results, select, varying


@dataclass(frozen=True)
class Column:
    """A measure of the answer."""

    key: str
    title: str
    note: str
    """What it is, with its unit."""
    interval: bool = False
    """Whether its interval is written below its mean."""


@dataclass(frozen=True)
class Row:
    """Runs that differ in their seed alone."""

    settings: list[str]
    """Their values on the axes of the table."""
    seeds: int
    planned: int
    diverged: int
    is_baseline: bool
    estimates: dict[str, Estimate]
    """By the key of a column. One is missing where nothing is measured or compared."""


@dataclass(frozen=True)
class Table:
    """The answer of one experiment."""

    experiment: str
    description: str
    axes: list[str]
    columns: list[Column]
    """Those of which anything is known."""
    rows: list[Row]
    """The groups of which a run is trained."""
    lacking: int
    """How many groups are not run."""
    compares_objectives: bool
    baseline: str
    """What the differences are to. Empty if nothing is compared."""
    answers: Answers | None
    """The same in sentences."""


DIFFERENCE = "difference"
_NAMES = {"latent_dim": "n"}


def answer_tables(results: Results, answers: Sequence[Answers]) -> list[Table]:
    """The answer of each experiment, in the order of the config."""
    said = {each.experiment: each for each in answers}
    return [
        _table(results, experiment.name, said.get(experiment.name))
        for experiment in results.tier.experiments
    ]


def cell(table: Table, row: Row, column: Column) -> tuple[str, str]:
    """The text of a measure of a row, and that of its interval; empty if it has none.

    A column has as many decimals as the median of its intervals justifies, so that its numbers
    align, and one run that repeats to six digits does not lengthen the others. A difference has
    more where it would be rounded onto 0.
    """
    found = row.estimates.get(column.key)
    if found is None or not isfinite(found.mean):
        return ("baseline" if column.key == DIFFERENCE and row.is_baseline else numbers.NONE), ""
    digits = _decimals(table, column)
    if digits is None:
        return numbers.significant(found.mean, 3 if abs(found.mean) < 100 else 5), ""
    if column.key == DIFFERENCE and isfinite(found.low):
        digits = numbers.enough(digits, found.low, found.high, (0.0,))
    text = numbers.number(found.mean, digits)
    return text, numbers.interval(found.low, found.high, digits) if column.interval else ""


def _decimals(table: Table, column: Column) -> int | None:
    """Of a column; None if it has no interval."""
    found = [row.estimates[column.key] for row in table.rows if column.key in row.estimates]
    wide = [one for one in found if isfinite(one.low) and one.low < one.high]
    return median_high(numbers.decimals(one.low, one.high) for one in wide) if wide else None


def _table(results: Results, name: str, answers: Answers | None) -> Table:
    experiment = results.tier.experiment(name)
    runs, planned = results.of(name), results.planned(name)
    comparison = comparison_of(experiment.axes, experiment.baseline)
    axes = [axis for axis in varying(experiment) if len(experiment.axes[axis]) > 1]
    if not axes:  # one group: it is called by its objective
        axes = ["objective", "latent_dim"]
    columns = _columns(comparison)
    measured = _with_derived(runs)
    rows, lacking = [], 0
    asked = planned.groupby(axes, sort=False, dropna=False)
    for key, plan in asked:
        settings = dict(zip(axes, key, strict=True))
        group = select(measured, **settings)
        if group.empty:
            lacking += 1
            continue
        estimates = {
            column.key: estimate(group[column.key].astype(float).tolist())
            for column in columns
            if column.key in group and group[column.key].notna().any()
        }
        if comparison and (found := paired_difference(runs, comparison, settings)):
            estimates[DIFFERENCE] = found
        rows.append(
            Row(
                settings=[_setting(value) for value in settings.values()],
                seeds=len(group),
                planned=len(plan),
                diverged=int((group["status"] == "diverged").sum()),
                is_baseline=bool(comparison and settings[comparison.axis] == comparison.baseline),
                estimates=estimates,
            )
        )
    known = {key for row in rows for key in row.estimates}
    return Table(
        experiment=name,
        description=experiment.description,
        axes=[_NAMES.get(axis, axis) for axis in axes],
        columns=[column for column in columns if column.key in known],
        rows=rows,
        lacking=lacking,
        compares_objectives=bool(comparison and comparison.axis == "objective"),
        baseline=comparison.name(comparison.baseline) if comparison else "",
        answers=answers,
    )


def _columns(comparison: Comparison | None) -> list[Column]:
    """The measures, with the bounds of unscaled data where scales of the data are compared."""
    unscaled = comparison is not None and comparison.bound != "test_elbo"
    suffix, of = ("_data_units", "of the unscaled data, ") if unscaled else ("", "")
    baseline = comparison.name(comparison.baseline) if comparison else ""
    return [
        Column(
            f"test_elbo{suffix}", "test bound", f"{of}in nats per image; larger is better", True
        ),
        Column(
            DIFFERENCE,
            f"minus {baseline}",
            "the difference of test bounds at the same seeds, in nats, with its 95% interval",
            True,
        ),
        Column(f"train_elbo{suffix}", "training bound", f"{of}in nats per image", True),
        Column(
            f"evidence_mean{suffix}",
            "evidence",
            f"log p(x) {of}in nats per image of those that are measured",
            True,
        ),
        Column("sample_kid", "KID", "kernel distance of samples to test images; smaller is better"),
        Column("sample_fid", "FID", "Fréchet distance of samples; smaller is better"),
        Column("sample_coverage", "coverage", "share of test images that have a sample nearby"),
        Column("test_active_units", "active units", "latent dimensions with more than 0.01 nats"),
        Column("minutes", "minutes", "of training, the share of a run in its job"),
    ]


def _with_derived(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with their share of the time of training. Runs of a pack share theirs."""
    return runs.assign(minutes=runs["seconds"] / runs["packed_runs"] / 60)


def _setting(value: Any) -> str:
    return numbers.NONE if pd.isna(value) else format_value(value)
