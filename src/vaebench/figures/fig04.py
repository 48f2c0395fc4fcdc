"""Figure 4: methods for the posterior variance, bound during training and samples."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from vaebench.figures.curves import band_text, draw_curve
from vaebench.figures.methods import Method, caption_of, methods, title_of
from vaebench.figures.style import (
    Drawing,
    first_seeds,
    image_grid,
    runs_text,
    show_image,
    show_settled,
    write_in,
)
from vaebench.results.read import Results, Selection, select

LINES = ("-", "--", ":", "-.")
SAMPLE_COLUMNS, SAMPLE_ROWS = 8, 4
MOST_COLUMNS = 5
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SAME = (
    "Constant and BILBO are one objective in two forms: their runs differ by rounding alone, which "
    "training amplifies. "
)


def draw(results: Results, shown: Selection) -> Drawing:
    """(a, b) test bound by epoch for each n, from low to high; (c) samples of each method and n."""
    rows, compared = shown.runs, methods(shown)
    dims = sorted(int(n) for n in shown.planned["latent_dim"].unique())
    columns = min(len(compared), MOST_COLUMNS)
    lines = len(dims) * -(-len(compared) // columns)
    width = 10 if columns <= 3 else 3.3 * columns
    figure = plt.figure(figsize=(width, 4.2 + 2 * lines), layout="constrained")
    heights = (4.2, 2.0 * lines)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    panels = top.subplots(1, len(dims), squeeze=False)[0]
    for ax, letter, n in zip(panels, LETTERS, dims, strict=False):
        _progress(ax, results, select(rows, latent_dim=n), compared)
        ax.set_title(f"({letter}) n = {n}", loc="left")
    grid = bottom.subplots(lines, columns, squeeze=False)
    for ax in grid.flat:
        ax.set_axis_off()
    for place, n in zip(grid.reshape(len(dims), -1), dims, strict=True):
        for ax, method in zip(place, compared, strict=False):
            _samples(ax, results, method.of(select(rows, latent_dim=n)), f"{method.name}, n = {n}")
    letters, last = ", ".join(LETTERS[: len(dims)]), LETTERS[len(dims)]
    bottom.suptitle(f"({last}) generative samples", x=0.01, ha="left", fontsize="medium")
    both = {"constant", "bilbo"} <= {method.objective for method in compared}
    caption = (
        f"{caption_of(compared)}. ({letters}) Test bound during training, {band_text(rows)}; "
        "larger is better. The vertical axis leaves out the first epochs. "
        f"({last}) Samples from the prior, for the first seed that did not diverge. "
        f"{SAME if both else ''}Shown: {runs_text(rows)}."
    )
    title = f"{title_of(compared)}: bound during training, samples"
    return Drawing(figure, caption, rows, title)


def _progress(ax: Axes, results: Results, rows: pd.DataFrame, compared: list[Method]) -> None:
    for place, method in enumerate(compared):
        style = {"color": method.colour, "linestyle": LINES[place % len(LINES)]}
        draw_curve(ax, results, method.of(rows), method.name, style)
    show_settled([ax])
    ax.set_ylabel("test bound (nats)")
    if rows.empty:
        ax.set_axis_off()
        write_in(ax, "not run")
        return
    ax.legend(frameon=False, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)


def _samples(ax: Axes, results: Results, runs: pd.DataFrame, title: str) -> None:
    """Draw samples of the first of these runs that did not diverge."""
    completed = runs[runs["status"] == "completed"]
    ax.set_title(title)
    if completed.empty:
        write_in(ax, "not run" if runs.empty else "all runs diverged")
        return
    ax.set_axis_on()
    samples = results.arrays(first_seeds(completed).iloc[0])["samples"]
    show_image(ax, image_grid(samples[: SAMPLE_COLUMNS * SAMPLE_ROWS], SAMPLE_COLUMNS))
