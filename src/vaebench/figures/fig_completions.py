"""Test images whose hidden pixels are predicted from the observed ones, under each objective."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
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
LEAST_WIDTH, COLUMN_WIDTH, GAP, TITLE = 6.4, 3.6, 0.2, 0.27
"""In inches: of the figure, of a column, between columns, and of the space for a title."""
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
    figure = _placed(columns)
    rows = pd.concat(there)
    caption = (
        "The first test images; what of them is observed; and their hidden pixels as the means of "
        "p(y|x, z) for draws of z from the prior, with the observed pixels as they are. A plain "
        f"network has one completion. Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


def _placed(columns: list[list[Panel]]) -> Figure:
    """Columns of panels side by side, from the top.

    Panels are placed by hand: a layout that is solved for differs in the last digits from one
    drawing to the next, and so would the file.
    """
    width = max(LEAST_WIDTH / len(columns), COLUMN_WIDTH)
    heights = [
        [TITLE + (width - GAP) * panel.grid.shape[0] / panel.grid.shape[1] for panel in column]
        for column in columns
    ]
    height = max(map(sum, heights)) + GAP
    figure = plt.figure(figsize=(width * len(columns), height))
    for place, (column, own) in enumerate(zip(columns, heights, strict=True)):
        top = height
        for panel, taken in zip(column, own, strict=True):
            top -= taken
            left, inner = (place * width + GAP / 2) / (width * len(columns)), width - GAP
            box = (left, top / height, inner / (width * len(columns)), (taken - TITLE) / height)
            ax = figure.add_axes(box)
            show_image(ax, panel.grid)
            ax.set_title(panel.title, fontsize=8, pad=3)
    return figure


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
