"""Statistics of single columns of the collected table, such as what `latent: true` measures.

`config/questions.yaml` uses them. A claim names its experiment, and the settings that its runs have
in common; where the runs differ in more than the seed, it decides nothing.
"""

import pandas as pd

from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import (
    NotMeasured,
    NotRun,
    Watched,
    by_seed,
    paired,
    runs_of,
)
from vaebench.experiment.needs import Need, planned_settings
from vaebench.experiment.settings import AxisValue
from vaebench.results.known_evidence import known_evidence

ENDS = {"longest": max, "shortest": min}
"""Names for the largest and the smallest number of epochs of an experiment. With them, the same
claims are judged in a tier with fewer epochs."""
ASKED = {"latent_": "latent_plan", "evidence_": "evidence_plan"}
"""The beginnings of columns that an experiment has to ask for, and how it says so."""


@statistic
def column_value(
    results: Watched,
    column: str,
    objective: str = "learned",
    latent_dim: int | None = None,
    hidden_layers: int | None = None,
    epochs: int | str | None = None,
) -> Values:
    """A column of the collected table, such as a measure of the aggregated posterior."""
    at = _given(
        objective=objective, latent_dim=latent_dim, hidden_layers=hidden_layers, epochs=epochs
    )
    return {"": [float(x) for x in _column(results, column, at)]}


@statistic
def column_difference(
    results: Watched,
    column: str,
    axis: str,
    of: AxisValue,
    minus: AxisValue,
    objective: str | None = None,
    latent_dim: int | None = None,
    hidden_layers: int | None = None,
    epochs: int | str | None = None,
) -> Values:
    """A column at one value of an axis minus that at another, at the same seed."""
    at = _given(
        objective=objective, latent_dim=latent_dim, hidden_layers=hidden_layers, epochs=epochs
    )
    return {"": paired(*(_column(results, column, at | {axis: value}) for value in (of, minus)))}


@statistic
def columns_difference(
    results: Watched,
    of: str,
    minus: str,
    objective: str = "learned",
    latent_dim: int | None = None,
    hidden_layers: int | None = None,
    epochs: int | str | None = None,
) -> Values:
    """One column of a run minus another of it."""
    at = _given(
        objective=objective, latent_dim=latent_dim, hidden_layers=hidden_layers, epochs=epochs
    )
    return {"": paired(*(_column(results, column, at) for column in (of, minus)))}


def _given(**settings: AxisValue | None) -> dict[str, AxisValue]:
    return {name: value for name, value in settings.items() if value is not None}


def _column(results: Watched, column: str, at: dict[str, AxisValue]) -> "pd.Series[float]":
    """A column by seed, NaN for a diverged run, and where the evidence is not known well enough.

    Raises:
        NotMeasured: the experiment does not ask for it.
        NotRun: there are no such runs, or it is not measured on them.
    """
    if (end := at.get("epochs")) in ENDS and results.only is not None:
        planned = planned_settings(results.tier.experiment(results.only))
        at = at | {"epochs": ENDS[str(end)](int(run["epochs"]) for run in planned)}
    rows = runs_of(results, Need("", at), None, **at)
    name = str(rows["experiment"].iloc[0])
    experiment = results.tier.experiment(name)
    for beginning, plan in ASKED.items():
        if column.startswith(beginning) and getattr(experiment, plan) is None:
            raise NotMeasured(f"'{name}' does not measure {column}")
    if column not in rows:
        raise NotRun(f"{column} of '{name}' is not measured")
    known = rows[rows[column].notna() | (rows["status"] == "diverged")]
    if known.empty:
        raise NotRun(f"{column} of '{name}' is not measured")
    if column.startswith("evidence_"):
        known = known.assign(**{column: known_evidence(known, column)})
    return by_seed(known, column)
