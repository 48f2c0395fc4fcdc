"""Runs whose aggregated posterior is measured, for figures that show it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, SymmetricalLogLocator

from vaebench.figures.style import Drawing, write_in
from vaebench.results.intervals import estimate
from vaebench.results.read import Selection

ENOUGH_SEEDS = 4
"""With fewer, intervals of means would fill the panels."""
BARS = (
    "Points: means over seeds; bars: their 95% interval, or with fewer than four seeds the range "
    "of the seeds."
)


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


def points(ax: Axes, values: list[list[float]], shift: float, style: dict[str, Any]) -> None:
    """Draw the mean of each list of numbers over seeds, with a bar. Lists may be empty."""
    means, below, above = [], [], []
    for each in values:
        mean = float(np.mean(each)) if each else np.nan
        low, high = (min(each), max(each)) if each else (mean, mean)
        if len(each) >= ENOUGH_SEEDS:
            found = estimate(each)
            low, high = found.low, found.high
        means.append(mean)
        below.append(mean - low)
        above.append(high - mean)
    x = np.arange(len(values)) + shift
    usual: dict[str, Any] = {"fmt": "o", "markersize": 4, "capsize": 2}
    ax.errorbar(x, means, [below, above], **(usual | style))


def symmetric_log_axis(ax: Axes) -> None:
    """A vertical axis that is logarithmic beyond ±1, with plain numbers and room at both ends."""
    ax.set_yscale("symlog", linthresh=1, subs=(2, 5))
    ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1, subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}".replace("-", "−")))
    ax.margins(y=0.1)
    ax.autoscale_view()


def epochs_text(epochs: int) -> str:
    """`1 epoch`, or `5 epochs`."""
    return f"{epochs} epoch{'s' * (epochs != 1)}"
