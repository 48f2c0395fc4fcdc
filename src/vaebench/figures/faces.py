"""Panels of colour images by method, for Figs. 7, 16 and 17. CelebA's show people's faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vaebench.figures.style import (
    first_seeds,
    image_grid,
    listed,
    objective_name,
    setting_text,
    show_image,
)
from vaebench.results.read import Results, Selection

COLUMNS = 8
NOTE = (
    "The paper writes Σ = I/100, which its experiment's script reads as a standard deviation: σ is "
    "0.1 or 0.01. "
)


@dataclass(frozen=True)
class Panel:
    """A panel with images of a run."""

    row: pd.Series
    array: str
    """The name of the run's array."""
    title: str


def methods(shown: Selection) -> pd.DataFrame:
    """The runs with the first seed, from the largest std down; those that learn it come first.

    Runs with the objective of Eq. 2 are left out if those of BILBO are there, which it equals.
    """
    rows = first_seeds(shown.runs)
    if "bilbo" in set(rows["objective"]):
        rows = rows[rows["objective"] != "constant"]
    if "posterior_std" in rows:
        rows = rows.sort_values(
            "posterior_std", ascending=False, na_position="first", kind="stable"
        )
        return rows.drop_duplicates(["objective", "posterior_std"])
    return rows.drop_duplicates("objective")


def methods_text(rows: pd.DataFrame) -> str:
    """How a caption calls these methods, with a note on the stds if there are several."""
    names = {
        "learned": "the standard ELBO (Eq. 1)",
        "constant": "the constant Σ = σ² I of Eq. 2",
        "bilbo": "BILBO (Eq. 24) with Σ = σ² I",
    }
    shown = [names.get(name, objective_name(name)) for name in rows["objective"].unique()]
    has_both = {0.1, 0.01} <= set(rows.get("posterior_std", ()))
    return f"{listed(shown)}. {NOTE if has_both else ''}"


def smaller_stds(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without the run of the largest std, unless it is the only std.

    The remaining stds are the two interpretations of Σ = I/100.
    """
    if "posterior_std" not in rows:
        return rows
    stds = rows["posterior_std"]
    return rows[stds.isna() | (stds < stds.max())] if stds.nunique() > 1 else rows


def method_name(row: pd.Series) -> str:
    """The name of a method in figures."""
    if row["objective"] == "learned":
        return "standard ELBO"
    name, std = objective_name(row["objective"]), row.get("posterior_std")
    return name if std is None or pd.isna(std) else f"{name}, {setting_text('posterior_std', std)}"


def draw_panels(results: Results, lines: Sequence[Sequence[Panel]], images: int) -> Figure:
    """Draw rows of panels. Each panel has a letter and shows this number of images."""
    height = images // COLUMNS
    width = max(len(line) for line in lines)
    figure, axes = plt.subplots(
        len(lines),
        width,
        figsize=(3.4 * width, (0.42 * height + 0.32) * len(lines)),
        layout="constrained",
        squeeze=False,
    )
    for ax in axes.flat:
        ax.set_axis_off()
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    for place, line in zip(axes, lines, strict=True):
        for ax, panel in zip(place, line, strict=False):
            _draw(ax, results, panel, next(letters), images)
    return figure


def _draw(ax: Axes, results: Results, panel: Panel, letter: str, images: int) -> None:
    ax.set_title(f"({letter}) {panel.title}", loc="left", fontsize="small")
    if panel.row["status"] == "diverged" and panel.array != "inputs":
        ax.text(0.5, 0.5, "diverged", ha="center", transform=ax.transAxes)
        return
    shown: NDArray[Any] = results.arrays(panel.row)[panel.array][:images]
    show_image(ax, image_grid(shown, COLUMNS))
