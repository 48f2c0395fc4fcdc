"""Runs whose aggregated posterior is measured, for figures that show it."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaebench.figures.style import Drawing, write_in
from vaebench.results.latent import latent_arrays
from vaebench.results.read import Selection

__all__ = ["latent_arrays", "measured", "nothing_measured"]


def measured(shown: Selection, column: str = "latent_kl") -> pd.DataFrame:
    """The shown runs that have a number in this column."""
    rows = shown.runs
    return rows.iloc[:0] if column not in rows else rows[rows[column].notna()]


def nothing_measured(shown: Selection) -> Drawing:
    """A placeholder if nothing is measured."""
    figure = Figure(figsize=(4, 1.2))
    ax: Axes = figure.subplots()
    ax.set_axis_off()
    write_in(ax, "not measured")
    caption = "It is not measured on these runs: give the experiment `latent: true`."
    return Drawing(figure, caption, shown.runs.iloc[:0])
