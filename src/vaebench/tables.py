"""The table of an experiment: one line a group of runs, over its seeds."""

import io
from pathlib import Path
from typing import Any

import pandas as pd

from vaebench.claims.ledger import Number, load_paper_values
from vaebench.files import write_atomically
from vaebench.layout import TABLE_FORMATS
from vaebench.results import Results, select, varying
from vaebench.statistics import estimate

BASELINE = "learned"
PAPER_VALUES = Path("config/paper_values.yaml")


def write_tables(results: Results, experiment: str, paper_values: Path) -> None:
    """Write an experiment's table as CSV and as Markdown."""
    table = experiment_table(results, experiment, load_paper_values(paper_values).numbers)
    texts = {"csv": to_csv(table), "md": to_markdown(table)}
    for extension in TABLE_FORMATS:
        path = results.layout.table(experiment, extension)
        write_atomically(path, texts[extension].encode())


def experiment_table(results: Results, name: str, numbers: list[Number]) -> pd.DataFrame:
    """The table of an experiment.

    Each line is a group of runs that differ in their seed alone: mean, standard deviation and 95%
    interval of the test bound in nats, the mean difference to `learned` over shared seeds with its
    interval, and what the paper prints for these settings.
    """
    experiment = results.tier.experiment(name)
    runs = results.of(name)
    axes = varying(experiment)
    lines = []
    # Without axes but the seeds, all runs are one group.
    grouped = runs.groupby(axes, sort=False, dropna=False) if axes else [((), runs)]
    for key, group in grouped:
        settings = dict(zip(axes, key, strict=True))
        bound = estimate(group["test_elbo"].tolist())
        line = settings | {
            "seeds": bound.count,
            "diverged": int((group["status"] == "diverged").sum()),
            "test_elbo_mean": bound.mean,
            "test_elbo_std": bound.std,
            "test_elbo_low": bound.low,
            "test_elbo_high": bound.high,
            "test_elbo_frozen_prior_mean": estimate(group["test_elbo_frozen_prior"].tolist()).mean,
        }
        line |= _difference(runs, settings, group) | {"paper": _printed(group, numbers)}
        lines.append(line)
    return pd.DataFrame(lines)


def to_csv(table: pd.DataFrame) -> str:
    """Comma-separated values at full precision; empty where there is no number."""
    buffer = io.StringIO()
    table.to_csv(buffer, index=False)
    return buffer.getvalue()


def to_markdown(table: pd.DataFrame) -> str:
    """A Markdown table for reading: two decimals, intervals in brackets."""
    measured = [c for c in table.columns if c.startswith(("test_elbo", "difference"))]
    settings = [c for c in table.columns if c not in {*measured, "paper", "diverged"}]
    shown = table[settings].astype(str)
    shown["test bound (nats)"] = table["test_elbo_mean"].map(_decimals)
    shown["std"] = table["test_elbo_std"].map(_decimals)
    shown["95% interval"] = _interval(table, "test_elbo_low", "test_elbo_high")
    shown["frozen prior"] = table["test_elbo_frozen_prior_mean"].map(_decimals)
    if "difference" in table:
        shown[f"minus `{BASELINE}`"] = table["difference"].map(_decimals)
        shown["95% interval of it"] = _interval(table, "difference_low", "difference_high")
    shown["paper"] = table["paper"].str.replace("-", "−").replace("", "–")
    shown["diverged"] = table["diverged"].astype(str)
    return shown.to_markdown(index=False, disable_numparse=True) + "\n"


def _difference(
    runs: pd.DataFrame, settings: dict[str, Any], group: pd.DataFrame
) -> dict[str, Any]:
    """The paired difference to the baseline at otherwise equal settings."""
    if "objective" not in settings:
        return {}
    nothing = {"difference": None, "difference_low": None, "difference_high": None}
    if settings["objective"] == BASELINE:
        return nothing
    baseline = select(runs, **(settings | {"objective": BASELINE})).set_index("seed")["test_elbo"]
    ours = group.set_index("seed")["test_elbo"]
    shared = ours.index.intersection(baseline.index)
    if shared.empty:
        return nothing
    paired = estimate((ours[shared] - baseline[shared]).tolist())
    return {
        "difference": paired.mean,
        "difference_low": paired.low,
        "difference_high": paired.high,
    }


def _printed(group: pd.DataFrame, numbers: list[Number]) -> str:
    """The paper's numbers for runs with these settings, each with its place."""
    first = group.iloc[0]
    texts = []
    for number in numbers:
        if all(first.get(name) == value for name, value in number.settings.items()):
            values = ", ".join(f"{value:g}" for value in number.values)
            texts.append(f"{values} ({number.place})")
    return "; ".join(texts)


def _interval(table: pd.DataFrame, low: str, high: str) -> list[str]:
    pairs = zip(table[low], table[high], strict=True)
    return [f"[{_decimals(a)}, {_decimals(b)}]" if pd.notna(a) else "–" for a, b in pairs]


def _decimals(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.2f}".replace("-", "−")
