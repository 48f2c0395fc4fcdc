"""Scatter plots of the posterior means of several runs, for Figs. 2, 5, 9, 10 and 11."""

from collections.abc import Callable

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from vaebench.figures.style import label_legend, scatter_by_label
from vaebench.results.read import Results


def scatter_row(results: Results, rows: pd.DataFrame, title: Callable[[pd.Series], str]) -> Figure:
    """Draw the posterior means of the test set of each run, coloured by label, three in a row.

    Args:
        results: the tier's results.
        rows: the runs to show, with two latent dimensions.
        title: gives the title of a run's panel.
    """
    columns = min(len(rows), 3)
    lines = -(-len(rows) // columns)
    figure, axes = plt.subplots(
        lines,
        columns,
        figsize=(2.9 * columns + 0.7, 3.4 * lines),
        layout="constrained",
        squeeze=False,
    )
    for ax, (_, row) in zip(axes.flat, rows.iterrows(), strict=False):
        arrays = results.arrays(row)
        scatter_by_label(ax, arrays["posterior_mean"], arrays["labels"])
        ax.set(title=title(row), xlabel="$\\mu_1$")
    for ax in axes.flat[len(rows) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("$\\mu_2$")
    label_legend(figure, arrays["labels"])
    return figure
