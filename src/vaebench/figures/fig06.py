"""Figure 6: samples under Gaussian likelihoods, for several scales of the data and several tau."""

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
    write_in,
)
from vaebench.results.read import Results, select

SIDE = 4
"""Samples in a row and in a column of a panel."""


def draw(results: Results) -> Drawing:
    """A row for each sweep: (a) learned T and T = I, (b, c) BAGGINS. High n left, low n right."""
    sweeps = [
        _Sweep(results, "(a) learned $T$", "data_scale", "gaussian_scale", "gaussian-learned"),
        _Sweep(results, "(a) $T = I$", "data_scale", "gaussian_scale", "gaussian"),
        _Sweep(results, "(b) BAGGINS", "data_scale", "baggins_scale", "baggins"),
        _Sweep(results, "(c) BAGGINS", "tau", "baggins_information", "baggins"),
    ]
    sweeps = [sweep for sweep in sweeps if not sweep.planned.empty]
    planned = pd.concat([sweep.planned for sweep in sweeps])
    dims = sorted((int(n) for n in planned["latent_dim"].unique()), reverse=True)
    columns = max(len(sweep.values) for sweep in sweeps)
    figure = plt.figure(
        figsize=(1.15 * columns * len(dims) + 0.6, 1.35 * len(sweeps) + 0.3), layout="constrained"
    )
    rows = []
    halves = figure.subfigures(1, len(dims), squeeze=False)[0]
    for half, n in zip(halves, dims, strict=True):
        half.suptitle(f"n = {n}")
        grid = half.subplots(len(sweeps), columns, squeeze=False)
        for line, sweep in zip(grid, sweeps, strict=True):
            shown = first_seeds(select(sweep.runs, latent_dim=n))
            rows.append(shown)
            for ax, value in zip(line, sweep.values, strict=False):
                ax.set_title(setting_text(sweep.axis, value), fontsize="small")
                _panel(ax, results, select(shown, **{sweep.axis: value}))
            for ax in line[len(sweep.values) :]:
                ax.set_axis_off()
            if half is halves[0]:
                line[0].set_ylabel(sweep.name)
    tau = ", ".join(
        setting_text("tau", t) for t in results.planned("baggins_scale")["tau"].unique()
    )
    caption = (
        "Samples with Gaussian likelihoods; λ is a factor on the data. (a) Learned T, and constant "
        f"T = I. (b) BAGGINS with {tau} (Eq. 29) and varying λ. (c) BAGGINS with varying τ, the "
        "information factor. The paper does not print its n, λ and τ. "
        f"Shown: {runs_text(pd.concat(rows))}."
    )
    return Drawing(figure, caption, pd.concat(rows))


class _Sweep:
    """A row of the figure: the axis that varies, the trained runs and the planned runs."""

    def __init__(
        self, results: Results, name: str, axis: str, experiment: str, likelihood: str
    ) -> None:
        self.name, self.axis = name, axis
        self.runs = results.of(experiment, likelihood=likelihood)
        self.planned = results.planned(experiment, likelihood=likelihood)
        self.values = sorted(self.planned[axis].unique())


def _panel(ax: Axes, results: Results, rows: pd.DataFrame) -> None:
    """Draw the samples of a run. `rows` has one row, or none if the run is not trained."""
    ax.set_xticks([])
    ax.set_yticks([])
    if rows.empty or rows.iloc[0]["status"] == "diverged":
        write_in(ax, "not run" if rows.empty else "diverged")
        return
    samples = results.arrays(rows.iloc[0])["samples"][: SIDE * SIDE]
    show_image(ax, image_grid(samples, SIDE))
