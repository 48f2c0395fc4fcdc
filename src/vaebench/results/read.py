"""Reads the collected results of a tier. Figures and tables are made from them only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from vaebench.errors import UserError
from vaebench.experiment.grid import Experiment, expand
from vaebench.experiment.needs import Found
from vaebench.experiment.settings import Settings
from vaebench.experiment.tier import Tier, load_tier
from vaebench.paths import Layout
from vaebench.reading.arrays import read_arrays
from vaebench.reading.tables import read_table

AGAIN = "collect the runs again"
KEY = ("experiment", "folder")
"""The columns that say which run a row is of."""


@dataclass(frozen=True)
class Selection:
    """The runs of one experiment that a figure or a claim needs."""

    experiment: str
    """Its name. Empty if the tier has no such runs; both tables are then empty."""
    varying: tuple[str, ...]
    """The axes, beside the seed, in which the planned runs differ, in the order of the config."""
    runs: pd.DataFrame
    """The trained runs, with the columns of the collected table, in the order of the config."""
    planned: pd.DataFrame
    """The settings of all of them, trained or not."""


@dataclass(frozen=True)
class Results:
    """A tier's collected runs."""

    layout: Layout
    tier: Tier
    runs: pd.DataFrame
    """A row for each run, with the columns that `collect` writes."""
    history: pd.DataFrame
    """A row for each evaluation during training of each run: experiment, folder, epoch (null if
    training is counted in steps), step, the metrics of the test set, and the bounds `train_elbo`
    and `held_out_elbo`, which are empty for runs that did not record them."""

    def of(self, experiment: str, **settings: Any) -> pd.DataFrame:
        """The runs of an experiment that have these settings, in the order of the config."""
        return select(self.runs, experiment=experiment, **settings)

    def planned(self, experiment: str, **settings: Any) -> pd.DataFrame:
        """The settings of all runs of an experiment in the tier's config, trained or not."""
        cells = expand(self.tier.experiment(experiment))
        runs = [run.settings.model_dump() for cell in cells for run in cell.runs]
        return select(pd.DataFrame(runs), **settings)

    def selection(self, found: Found | None) -> Selection:
        """The runs that `experiment/needs.py` found in the tier's config."""
        if found is None:
            return Selection("", (), self.runs.iloc[:0], pd.DataFrame())
        name, settings = found.experiment.name, found.settings
        runs, planned = self.of(name, **settings), self.planned(name, **settings)
        return Selection(name, found.varying, runs, planned)

    def arrays(self, row: Mapping[str, Any] | pd.Series) -> dict[str, NDArray[Any]]:
        """The arrays of a run, see `evaluation/arrays.py`.

        Raises:
            UserError: the file is missing or damaged.
        """
        path = self.layout.run(row["experiment"], row["folder"]) / "arrays.npz"
        return read_arrays(path, AGAIN)


def load_results(root: Path) -> Results:
    """Read the results of a tier from its folder, such as results/smoke.

    Raises:
        UserError: there are no collected results, or they are damaged.
    """
    layout = Layout(root)
    for path in (layout.config, layout.runs, layout.history):
        if not path.exists():
            raise UserError(f"{path} is missing: run the tier, or `vaebench collect` if it is run")
    runs, history = read_table(layout.runs, AGAIN), read_table(layout.history, AGAIN)
    # Former versions had fewer optional settings.
    settings = {name for name, field in Settings.model_fields.items() if field.is_required()}
    _check_columns(layout.runs, runs, {*KEY, "status", "run_hash", *settings})
    _check_columns(layout.history, history, {*KEY, "epoch", "step"})
    return Results(layout, load_tier(layout.config), runs, history)


def _check_columns(path: Path, frame: pd.DataFrame, wanted: set[str]) -> None:
    if missing := sorted({*wanted, "test_elbo"} - set(frame.columns)):
        raise UserError(f"{path} lacks the columns {', '.join(missing)}: {AGAIN}")
    for name in frame.columns[frame.columns.str.startswith("test_")]:
        if not pd.api.types.is_numeric_dtype(frame[name]) and frame[name].notna().any():
            raise UserError(f"{path} has no numbers in its column {name}: {AGAIN}")


def select(frame: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The rows whose columns have these values. A list matches any of its values.

    A column that the frame does not have counts as empty: no run has this setting.
    """
    keep = pd.Series(True, index=frame.index)
    for column, value in values.items():
        found = frame[column] if column in frame else pd.Series(index=frame.index, dtype=float)
        if not isinstance(value, list) and pd.isna(value):
            keep &= found.isna()
        else:
            keep &= found.isin(value if isinstance(value, list) else [value])
    return frame[keep]


def varying(experiment: Experiment) -> list[str]:
    """The axes of an experiment without the seed. Runs that agree in them form a group."""
    return [axis for axis in experiment.axes if axis != "seed"]


def training_text(rows: pd.DataFrame) -> str:
    """The length of the training of these runs: `10 epochs`, `10/20 epochs`, `500 steps`."""
    texts = []
    for unit in ("epochs", "steps"):
        counts = sorted(rows[unit].dropna().unique())
        if counts:
            texts.append(f"{'/'.join(str(int(count)) for count in counts)} {unit}")
    return ", ".join(texts)


def ranges(numbers: Iterable[int]) -> str:
    """Whole numbers, three or more in a row as a range: `0 to 4, 10, 11`."""
    whole = sorted(set(numbers))
    runs = [
        [value for _, value in group]
        for _, group in groupby(enumerate(whole), key=lambda pair: pair[1] - pair[0])
    ]
    shown = [[f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run) for run in runs]
    return ", ".join(chain.from_iterable(shown))
