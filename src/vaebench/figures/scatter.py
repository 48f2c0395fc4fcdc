"""Posterior means of several runs side by side (Figs. 2, 5 and their like)."""

from collections.abc import Callable

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from vaebench.figures.style import label_legend, scatter_by_label
from vaebench.results import Results


def scatter_row(results: Results, rows: pd.DataFrame, title: Callable[[pd.Series], str]) -> Figure:
    """A scatter plot a run, of the test set's posterior means coloured by label.

    Args:
        results: the tier's results.
        rows: the runs to show, with two latent dimensions.
        title: what stands above a run's panel.
    """
    figure, axes = plt.subplots(
        1, len(rows), figsize=(2.9 * len(rows) + 0.7, 3.4), layout="constrained", squeeze=False
    )
    for ax, (_, row) in zip(axes[0], rows.iterrows(), strict=True):
        arrays = results.arrays(row)
        scatter_by_label(ax, arrays["posterior_mean"], arrays["labels"])
        ax.set(title=title(row), xlabel="$\\mu_1$")
    axes[0, 0].set_ylabel("$\\mu_2$")
    label_legend(figure, arrays["labels"])
    return figure
