"""The latent manifold with scatter plots of posterior means and samples, for Figs. 12 to 15."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from vaebench.figures.style import (
    Drawing,
    bound_text,
    image_grid,
    label_legend,
    objective_name,
    runs_text,
    scatter_by_label,
    show_image,
)
from vaebench.results.read import Results


def draw_manifold(results: Results, rows: pd.DataFrame, note: str = "", title: str = "") -> Drawing:
    """Draw the decoded manifold (left), posterior means (upper right) and samples (lower right).

    Args:
        results: the tier's results.
        rows: the one run to show, with two latent dimensions.
        note: a sentence for the caption.
        title: of the figure; the title of the registry if it is empty.
    """
    row = rows.iloc[0]
    arrays = results.arrays(row)
    mean = arrays["posterior_mean"].astype(float)
    figure = plt.figure(figsize=(9, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.75, 1))
    left = figure.add_subplot(grid[:, 0])
    show_image(left, image_grid(arrays["manifold"], len(arrays["manifold_quantiles"])))
    left.set_title(
        f"{objective_name(row['objective'])}, {row['likelihood']} likelihood: {bound_text(row)}"
    )
    left.set(xlabel="$z_1$ at equal steps of the prior's probability", ylabel="$z_2$, likewise")
    z = mean + arrays["posterior_std"].astype(float) * _standard_normal(row, mean.shape)
    for place, codes, name in ((0, mean, "\\mu"), (1, z, "z")):
        ax = figure.add_subplot(grid[place, 1])
        scatter_by_label(ax, codes, arrays["labels"])
        ax.set(xlabel=f"${name}_1$", ylabel=f"${name}_2$")
    label_legend(figure, arrays["labels"])
    caption = (
        "Latent manifold and scatter plots for a two-dimensional latent space, trained with "
        f"{objective_name(row['objective'])}. Left: the decoder's mean over a grid of z at equal "
        "steps of the prior's cumulative probability. Right: posterior means of the test set "
        f"(above) and a single sample from each posterior (below), coloured by label. {note}"
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows, title)


def manifold_title(rows: pd.DataFrame) -> str:
    """The title of a figure that shows the manifold of one objective."""
    objective = rows.iloc[0]["objective"]
    is_learned = objective == "learned"
    name = "learned posterior variances" if is_learned else objective_name(objective)
    return f"Latent manifold, {name}"


def _standard_normal(row: pd.Series, shape: tuple[int, ...]) -> NDArray[Any]:
    return np.random.Generator(np.random.PCG64(int(row["seed"]))).standard_normal(shape)
