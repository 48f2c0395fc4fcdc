"""The table of an experiment: one line a group of runs, over its seeds."""

import io
from pathlib import Path
from typing import Any

import pandas as pd

from vaebench.claims.paper import Number, in_full, load_paper_values
from vaebench.experiment.comparison import Comparison, comparison_of
from vaebench.experiment.settings import format_value
from vaebench.files import write_atomically
from vaebench.likelihoods import data_scales
from vaebench.paths import TABLE_FORMATS
from vaebench.plain_text import escape
from vaebench.provenance.account import account, as_comment
from vaebench.provenance.stages import table_digest
from vaebench.reporting.text import attested_counts
from vaebench.results.compare import paired_difference
from vaebench.results.intervals import estimate
from vaebench.results.read import Results, select, varying

FURTHER = {
    "test_elbo_frozen_prior": "frozen prior",
    "test_elbo_data_units": "bound of unscaled data",
    "test_objective": "",
    "train_elbo": "training bound",
    "train_test_gap": "training minus test bound",
    "test_rate": "rate",
    "test_mse": "mse",
    "test_information": "",
    "test_active_units": "active units",
    "likelihood_variance": "T",
    "fitted_prior_trace": "tr S²",
    "fitted_prior_trace_batch": "",
    "sample_kid": "KID",
    "floor_kid": "KID of training images",
    "sample_fid": "",
    "floor_fid": "",
    "sample_precision": "",
    "floor_precision": "",
    "sample_recall": "",
    "floor_recall": "",
    "sample_density": "",
    "floor_density": "",
    "sample_coverage": "coverage",
    "floor_coverage": "coverage of training images",
    "sample_mean_image_distance": "",
    "sample_sharpness": "",
    "sample_components": "",
}
"""What a table has beside the bound: columns of the collected table and the train-test gap, with a
title where they are shown for reading."""


def write_tables(results: Results, experiment: str, paper_values: Path) -> None:
    """Write an experiment's table as CSV and as Markdown."""
    table = experiment_table(results, experiment, load_paper_values(paper_values).numbers)
    records = results.of(experiment)["metrics_digest"]
    made_from = as_comment(account(records, table_digest(), paper_values))
    own = results.tier.experiment(experiment)
    comparison = comparison_of(own.axes, own.baseline)
    texts = {"csv": to_csv(table), "md": to_markdown(table, comparison) + made_from}
    for extension in TABLE_FORMATS:
        path = results.layout.table(experiment, extension)
        write_atomically(path, texts[extension].encode())


def experiment_table(results: Results, name: str, numbers: list[Number]) -> pd.DataFrame:
    """The table of an experiment.

    Each line is a group of planned runs that differ in their seed alone: how many, and how many
    were run, and how many of these rest on an attestation, if any of the experiment does; mean,
    standard deviation and 95% interval of the test bound in nats, the mean
    difference to the baseline over shared seeds with its interval (of the unscaled data's bound,
    where data scales are compared), means of what else was measured,
    and what the paper prints for these settings.
    """
    experiment = results.tier.experiment(name)
    runs, planned = results.of(name), results.planned(name)
    if "train_elbo" in runs:
        runs = runs.assign(train_test_gap=runs["train_elbo"] - runs["test_elbo"])
    axes = varying(experiment)
    comparison = comparison_of(experiment.axes, experiment.baseline)
    further = [column for column in FURTHER if column in runs and runs[column].notna().any()]
    lines = []
    # Without axes but the seeds, all runs are one group.
    grouped = planned.groupby(axes, sort=False, dropna=False) if axes else [((), planned)]
    for key, asked in grouped:
        settings = dict(zip(axes, key, strict=True))
        group = select(runs, **settings)
        bound = estimate(group["test_elbo"].tolist())
        line = settings | {
            "planned": len(asked),
            "seeds": bound.count,
            "diverged": int((group["status"] == "diverged").sum()),
            "attested": _attested(group),
            "test_elbo_mean": bound.mean,
            "test_elbo_std": bound.std,
            "test_elbo_low": bound.low,
            "test_elbo_high": bound.high,
        }
        line |= {f"{column}_mean": estimate(group[column].tolist()).mean for column in further}
        if comparison:
            line |= _difference(runs, comparison, settings)
        line |= {"paper": _printed(asked, numbers)}
        lines.append(line)
    table = pd.DataFrame(lines)
    return table if (table["attested"] != "").any() else table.drop(columns="attested")


def to_csv(table: pd.DataFrame) -> str:
    """Comma-separated values at full precision; empty where there is no number."""
    buffer = io.StringIO()
    table.to_csv(buffer, index=False)
    return buffer.getvalue()


def to_markdown(table: pd.DataFrame, comparison: Comparison | None = None) -> str:
    """A Markdown table for reading: few digits, intervals in brackets, no column without numbers.

    The title of the differences names the baseline of the comparison. The table leaves out
    what a reader of it can do without; the CSV has all.
    """
    numbers = table.columns.get_loc("planned")
    settings = table.columns[:numbers]
    shown = pd.DataFrame({name: table[name].map(_setting) for name in settings})
    shown["seeds"] = [
        str(run) if run == planned else f"{run} of {planned}"
        for run, planned in zip(table["seeds"], table["planned"], strict=True)
    ]
    bounds = table["test_elbo_mean"].map(_decimals)
    shown["test bound (nats)"] = bounds.where(table["seeds"] > 0, "*not run*")
    shown["std"] = table["test_elbo_std"].map(_decimals)
    shown["95% interval"] = _interval(table, "test_elbo_low", "test_elbo_high")
    for column, title in FURTHER.items():
        name = f"{column}_mean"
        # Bounds of unscaled data and bounds are the same numbers but for scaled data.
        repeats = column == "test_elbo_data_units" and not data_scales() & set(settings)
        if name in table and table[name].notna().any() and title and not repeats:
            is_bound = column.startswith("test_elbo") or column.startswith("train_")
            digits = _decimals if is_bound else _significant
            shown[title] = table[name].map(digits)
    if comparison and table["difference"].notna().any():
        title = f"minus `{comparison.name(comparison.baseline)}`"
        shown[title] = table["difference"].map(_decimals)
        shown["95% interval of it"] = _interval(table, "difference_low", "difference_high")
    if (table["paper"] != "").any():
        shown["paper"] = table["paper"].str.replace("-", "−").map(escape).replace("", "–")
    shown["diverged"] = table["diverged"].astype(str)
    if "attested" in table:
        shown["attested"] = table["attested"].replace("", "–")
    return shown.to_markdown(index=False, disable_numparse=True) + "\n"


def _difference(
    runs: pd.DataFrame, comparison: Comparison, settings: dict[str, Any]
) -> dict[str, Any]:
    """The paired difference to the baseline at otherwise equal settings."""
    paired = paired_difference(runs, comparison, settings)
    return {
        "difference": paired.mean if paired else None,
        "difference_low": paired.low if paired else None,
        "difference_high": paired.high if paired else None,
    }


def _attested(runs: pd.DataFrame) -> str:
    """How many runs rest on an attestation, such as `15 bits` or `10 bits, 5 rounding`."""
    return ", ".join(f"{count} {level}" for level, count in attested_counts(runs).items())


def _printed(planned: pd.DataFrame, numbers: list[Number]) -> str:
    """The paper's numbers for runs with these settings, each with its place."""
    first = planned.iloc[0]
    texts = []
    for number in numbers:
        is_bound = number.minus is None
        settings = in_full(number.settings, first)
        if is_bound and all(first.get(name) == value for name, value in settings.items()):
            values = ", ".join(f"{value:g}" for value in number.values)
            texts.append(f"{values} ({number.place})")
    return "; ".join(texts)


def _interval(table: pd.DataFrame, low: str, high: str) -> list[str]:
    pairs = zip(table[low], table[high], strict=True)
    return [f"[{_decimals(a)}, {_decimals(b)}]" if pd.notna(a) else "–" for a, b in pairs]


def _setting(value: Any) -> str:
    return "–" if pd.isna(value) else escape(format_value(value))


def _significant(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.3g}".replace("-", "−")


def _decimals(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.2f}".replace("-", "−")
