"""The collected statistics of the paper's equations, and the arrays of a run behind them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from vaebench.experiment.equations import STATES
from vaebench.experiment.grid import Experiment, Run
from vaebench.paths import Layout
from vaebench.reading.arrays import read_arrays
from vaebench.reading.tables import read_table
from vaebench.results.measured import checked
from vaebench.results.read import AGAIN, Results
from vaebench.runs.measures import EQUATIONS
from vaebench.runs.record import RunRecord

COLUMNS = ("experiment", "folder", "state", "statistic", "value", "arrays_digest", "refused")


def equation_rows(
    layout: Layout, experiment: Experiment, run: Run, record: RunRecord
) -> list[dict[str, Any]]:
    """The statistics of a run, after a check that they are of its weights, this code and this plan.

    Raises:
        UserError: as `results.measured.checked`.
    """
    found = checked(EQUATIONS, layout, experiment, run, record)
    key = {"experiment": experiment.name, "folder": run.folder.as_posix()}
    if found.equations is None:
        return [key | {"state": "", "statistic": "", "refused": found.refused}]
    return [
        key
        | {"state": state, "statistic": name, "value": value}
        | {"arrays_digest": found.arrays, "refused": None}
        for state in STATES
        for name, value in getattr(found.equations, state).items()
    ]


def equation_values(results: Results) -> pd.DataFrame:
    """The collected statistics: a row for each run, state and statistic, with `COLUMNS`.

    A run on which the equations cannot be measured has one row, with the reason in `refused`. The
    table is empty if the tier measures no equations.

    Raises:
        UserError: the table is missing although the tier measures equations, or is damaged.
    """
    path = results.layout.equation_values
    if all(experiment.equations_plan is None for experiment in results.tier.experiments):
        return pd.DataFrame(columns=list(COLUMNS))
    return read_table(path, AGAIN)


def with_statistics(results: Results, rows: pd.DataFrame, state: str) -> pd.DataFrame:
    """Rows of the collected table, with a column for each statistic of one state.

    Runs without any measurement are left out. A statistic that is not finite is NaN.
    """
    values = equation_values(results)
    values = values[values["state"] == state]
    if values.empty or rows.empty:
        return rows.iloc[:0]
    key = ["experiment", "folder"]
    wide = values.pivot(index=key, columns="statistic", values="value").astype(float)
    return rows.merge(wide.reset_index(), on=key, how="inner")


def equation_arrays(layout: Layout, row: Mapping[str, Any] | pd.Series) -> dict[str, NDArray[Any]]:
    """The arrays of a run, see `equations/shown.py`.

    Raises:
        UserError: the file is missing or damaged.
    """
    path: Path = layout.equations(row["experiment"], row["folder"]).with_suffix(".npz")
    return read_arrays(path, "measure the equations again")
