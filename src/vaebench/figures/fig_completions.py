"""Test images whose hidden pixels are predicted from the observed ones, under each objective."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray

from vaebench.figures.style import (
    Drawing,
    first_seeds,
    image_grid,
    objective_name,
    runs_text,
    show_image,
)
from vaebench.results.read import Results, Selection

DRAWS = 3
"""The completions of each image; one of a plain network, whose are all the same."""
HIDDEN = 96
"""The level of grey in which hidden pixels are shown."""


def draw(results: Results, *shown: Selection) -> Drawing:
    """A column of panels for each mask: images, what is observed, and completions."""
    there = [each for each in shown if not each.runs.empty]
    rows = [first_seeds(each.runs) for each in there]
    lines = 2 + max(each["objective"].nunique() for each in rows)
    figure, axes = plt.subplots(
        *(lines, len(there)),
        figsize=(4.6 * len(there) + 0.4, 0.55 * (2 + DRAWS * (lines - 2)) + 0.4),
        height_ratios=[1, 1] + [DRAWS] * (lines - 2),
        layout="constrained",
        squeeze=False,
    )
    for column, own in enumerate(rows):
        for ax in axes[:, column]:
            ax.set_axis_off()
        for line, (_, row) in enumerate(own.iterrows(), 2):
            arrays = results.arrays(row)
            images, done = arrays["completed"], arrays["completions"]
            if line == 2:
                seen = arrays["observed"].reshape(images.shape[1:])
                given = np.where(seen, images, HIDDEN).astype(np.uint8)
                _show(axes[0, column], images, f"images, {row['observed']}")
                _show(axes[1, column], given, "observed")
            draws = 1 if _are_alike(done) else DRAWS
            tiled = np.moveaxis(done[:, :draws], 1, 0).reshape(-1, *images.shape[1:])
            _show(axes[line, column], tiled, objective_name(str(row["objective"])), len(images))
    shown_rows = pd.concat(rows)
    caption = (
        "The first test images; what of them is observed; and their hidden pixels as the means of "
        "p(y|x, z) for draws of z from the prior, with the observed pixels as they are. A plain "
        f"network has one completion. Shown: {runs_text(shown_rows)}."
    )
    return Drawing(figure, caption, shown_rows)


def _show(ax: Axes, images: NDArray[np.uint8], title: str, columns: int | None = None) -> None:
    ax.set_axis_on()
    show_image(ax, image_grid(images, columns or len(images)))
    ax.set_title(title, fontsize=8)


def _are_alike(completions: NDArray[np.uint8]) -> bool:
    return bool((completions == completions[:, :1]).all())
