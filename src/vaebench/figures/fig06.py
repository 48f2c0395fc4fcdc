"""Figure 6: samples under Gaussian likelihoods, and what the data's scale and tau do to them."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from vaebench.figures.style import (
    Drawing,
    first_seeds,
    image_grid,
    runs_text,
    setting_text,
    show_image,
)
from vaebench.results import Results

SIDE = 4
"""Samples in a row and in a column of a panel."""


def draw(results: Results) -> Drawing:
    """A row for each sweep, (a) learned T, T = I, (b, c) BAGGINS; high n left, low n right."""
    sweeps = {
        "(a) learned $T$": (
            results.of("gaussian_scale", likelihood="gaussian-learned"),
            "data_scale",
        ),
        "(a) $T = I$": (results.of("gaussian_scale", likelihood="gaussian"), "data_scale"),
        "(b) BAGGINS": (results.of("baggins_scale"), "data_scale"),
        "(c) BAGGINS": (results.of("baggins_information"), "tau"),
    }
    sweeps = {name: sweep for name, sweep in sweeps.items() if not sweep[0].empty}
    rows = pd.concat([first_seeds(runs) for runs, _ in sweeps.values()])
    dims = sorted((int(n) for n in rows["latent_dim"].unique()), reverse=True)
    columns = max(runs[axis].nunique() for runs, axis in sweeps.values())
    figure = plt.figure(
        figsize=(1.15 * columns * len(dims) + 0.6, 1.35 * len(sweeps) + 0.3), layout="constrained"
    )
    halves = figure.subfigures(1, len(dims), squeeze=False)[0]
    for half, n in zip(halves, dims, strict=True):
        half.suptitle(f"n = {n}")
        grid = half.subplots(len(sweeps), columns, squeeze=False)
        for line, (name, (runs, axis)) in zip(grid, sweeps.items(), strict=True):
            shown = first_seeds(runs[runs["latent_dim"] == n]).sort_values(axis)
            for ax, (_, row) in zip(line, shown.iterrows(), strict=False):
                _panel(ax, results, row, axis)
            for ax in line[len(shown) :]:
                ax.set_axis_off()
            if half is halves[0]:
                line[0].set_ylabel(name)
    tau = ", ".join(dict.fromkeys(setting_text("tau", t) for t in sweeps["(b) BAGGINS"][0]["tau"]))
    caption = (
        "Samples with Gaussian likelihoods; λ is a factor on the data. (a) Learned T, and constant "
        f"T = I. (b) BAGGINS with {tau} (Eq. 29) and varying λ. (c) BAGGINS with varying τ, the "
        "information factor. The paper does not print its n, λ and τ. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


def _panel(ax: Axes, results: Results, row: pd.Series, axis: str) -> None:
    ax.set_title(setting_text(axis, row[axis]), fontsize="small")
    ax.set_xticks([])
    ax.set_yticks([])
    if row["status"] == "diverged":
        ax.text(0.5, 0.5, "diverged", ha="center", va="center", transform=ax.transAxes)
        return
    samples = results.arrays(row)["samples"][: SIDE * SIDE]
    show_image(ax, image_grid(samples, SIDE))
