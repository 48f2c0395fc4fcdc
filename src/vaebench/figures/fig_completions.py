"""Test images whose hidden pixels are predicted from the observed ones, under each objective."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
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


@dataclass(frozen=True)
class Panel:
    """Images in a grid, with a title."""

    title: str
    grid: NDArray[np.uint8]


def draw(results: Results, *shown: Selection) -> Drawing:
    """A column of panels for each mask: images, what is observed, and completions."""
    there = [first_seeds(each.runs) for each in shown if not each.runs.empty]
    columns = [_panels(results, rows) for rows in there]
    lines = max(map(len, columns))
    heights = [max(c[k].grid.shape[0] for c in columns if k < len(c)) for k in range(lines)]
    figure, axes = plt.subplots(
        *(lines, len(there)),
        figsize=(max(6.4, 3.6 * len(there)), 0.019 * sum(heights) + 0.27 * lines),
        height_ratios=heights,
        layout="constrained",
        squeeze=False,
    )
    for place, column in enumerate(columns):
        for ax in axes[len(column) :, place]:
            ax.set_axis_off()
        for ax, panel in zip(axes[:, place], column, strict=False):
            show_image(ax, panel.grid)
            ax.set_title(panel.title, fontsize=8)
    rows = pd.concat(there)
    caption = (
        "The first test images; what of them is observed; and their hidden pixels as the means of "
        "p(y|x, z) for draws of z from the prior, with the observed pixels as they are. A plain "
        f"network has one completion. Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


def _panels(results: Results, rows: pd.DataFrame) -> list[Panel]:
    """Those of one mask."""
    panels: list[Panel] = []
    for _, row in rows.iterrows():
        arrays = results.arrays(row)
        images, done = arrays["completed"], arrays["completions"]
        if not panels:
            seen = arrays["observed"].reshape(images.shape[1:])
            given = np.where(seen, images, HIDDEN).astype(np.uint8)
            panels.append(Panel(f"images, {row['observed']}", image_grid(images, len(images))))
            panels.append(Panel("observed", image_grid(given, len(images))))
        draws = 1 if _are_alike(done) else DRAWS
        tiled = np.moveaxis(done[:, :draws], 1, 0).reshape(-1, *images.shape[1:])
        name = objective_name(str(row["objective"]))
        panels.append(Panel(name, image_grid(tiled, len(images))))
    return panels


def _are_alike(completions: NDArray[np.uint8]) -> bool:
    return bool((completions == completions[:, :1]).all())
