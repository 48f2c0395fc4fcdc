"""A tier in a few numbers, in the forms that `dvc metrics` and `dvc plots` read."""

import json
from collections import Counter
from typing import Any

import pandas as pd

from vaebench.experiment.settings import format_value
from vaebench.files import write_atomically
from vaebench.results.read import Results, varying
from vaebench.runs.record import finite

MEASURES = ("test_elbo", "test_objective", "test_mse", "test_information", "sample_kid")
"""Columns of the collected table whose means over seeds are given, where there are any."""


def write_summary(results: Results) -> None:
    """Write summary.json and bounds.csv of a tier.

    summary.json has the count of each verdict, and for each group of runs that differ in their
    seed alone the means of `MEASURES`. bounds.csv has the mean test objective of each group at
    each recorded epoch, in nats.
    """
    verdicts = Counter(
        line["verdict"] for line in json.loads(results.layout.claims("json").read_text())["claims"]
    )
    summary: dict[str, Any] = {"claims": dict(sorted(verdicts.items()))}
    bounds = []
    for experiment in results.tier.experiments:
        runs = results.of(experiment.name).copy()
        runs["group"] = [_group(row, varying(experiment)) for _, row in runs.iterrows()]
        measures = [name for name in MEASURES if name in runs and runs[name].notna().any()]
        summary[experiment.name] = {
            group: {
                "runs": len(rows),
                "diverged": int((rows["status"] == "diverged").sum()),
                **{name: finite(rows[name].mean()) for name in measures},
            }
            for group, rows in runs.groupby("group", sort=False)
        }
        points = results.history.merge(runs[["experiment", "folder", "group"]])
        means = points.groupby(["experiment", "group", "epoch"], sort=False)["test_objective"]
        bounds.append(means.mean().reset_index())
    text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
    write_atomically(results.layout.summary, text.encode())
    table = pd.concat(bounds).to_csv(index=False)
    write_atomically(results.layout.bounds, table.encode())


def _group(row: pd.Series, axes: list[str]) -> str:
    """What a run shares with those that differ in their seed alone, such as `objective~bilbo`."""
    given = [axis for axis in axes if pd.notna(row[axis])]
    return "/".join(f"{axis}~{format_value(row[axis])}" for axis in given) or "all"
