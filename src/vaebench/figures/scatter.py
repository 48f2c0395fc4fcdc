"""Posterior means of several runs side by side (Figs. 2, 5 and their like)."""

from collections.abc import Callable

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from vaebench.figures.style import label_legend, scatter_by_label
from vaebench.results.read import Results


def scatter_row(results: Results, rows: pd.DataFrame, title: Callable[[pd.Series], str]) -> Figure:
    """The test set's posterior means of each run, coloured by label; three runs side by side.

    Args:
        results: the tier's results.
        rows: the runs to show, with two latent dimensions.
        title: what stands above a run's panel.
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
