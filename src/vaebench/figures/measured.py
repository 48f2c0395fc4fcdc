"""Runs on which the paper's equations are measured, for figures that are not the paper's."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaebench.figures.style import Drawing, objective_name, write_in
from vaebench.results.equations import with_statistics
from vaebench.results.read import Results, Selection


def measured(results: Results, shown: Selection, state: str = "trained") -> pd.DataFrame:
    """The shown runs that have statistics of equations, with a column for each of them."""
    return with_statistics(results, shown.runs, state)


def groups(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The runs of each objective and number of latent dimensions, with a name."""
    found = rows.groupby(["latent_dim", "objective"], sort=False)
    named = [(f"{objective_name(str(objective))}, n = {n}", own) for (n, objective), own in found]
    return sorted(named, key=lambda each: int(each[1]["latent_dim"].iloc[0]))


def nothing_measured(shown: Selection) -> Drawing:
    """A placeholder if no equations are measured."""
    figure = Figure(figsize=(4, 1.2))
    ax: Axes = figure.subplots()
    ax.set_axis_off()
    write_in(ax, "not measured")
    caption = "The equations are not measured on these runs: give the experiment `equations: true`."
    return Drawing(figure, caption, shown.runs.iloc[:0])
