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
from vaebench.results.read import Results, Selection, select

SIDE = 4
"""Samples in a row and in a column of a panel."""
ROWS = (
    ("(a) learned $T$", "data_scale", "(a) Learned T."),
    ("(a) $T = I$", "data_scale", "(a) Constant T = I."),
    ("(b) BAGGINS", "data_scale", "(b) BAGGINS with {tau} (Eq. 29) and varying λ."),
    ("(c) BAGGINS", "tau", "(c) BAGGINS with varying τ, the information factor."),
)
"""The name of each row, its axis, and what the caption says of it."""


def draw(results: Results, *shown: Selection) -> Drawing:
    """A row for each sweep that the tier has. The largest n is left.

    Args:
        results: the tier's results.
        shown: (a) learned T and T = I, (b, c) BAGGINS on scaled data and with several tau.
    """
    parts = zip(shown, ROWS, strict=True)
    sweeps = [_Sweep(runs, *part) for runs, part in parts if runs.experiment]
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
            first = first_seeds(select(sweep.runs, latent_dim=n))
            rows.append(first)
            for ax, value in zip(line, sweep.values, strict=False):
                ax.set_title(setting_text(sweep.axis, value), fontsize="small")
                _panel(ax, results, select(first, **{sweep.axis: value}))
            for ax in line[len(sweep.values) :]:
                ax.set_axis_off()
            if half is halves[0]:
                line[0].set_ylabel(sweep.name)
    texts = " ".join(sweep.text for sweep in sweeps).replace(". (a) C", ", and c")
    caption = (
        f"Samples with Gaussian likelihoods; λ is a factor on the data. {texts} "
        "The paper does not print its n, λ and τ. "
        f"Shown: {runs_text(pd.concat(rows))}."
    )
    names = dict.fromkeys(sweep.name[4:].replace("$", "") for sweep in sweeps)
    title = f"Samples under Gaussian likelihoods: {', '.join(names)}"
    return Drawing(figure, caption, pd.concat(rows), title)


class _Sweep:
    """A row of the figure: the axis that varies, the trained runs and the planned runs."""

    def __init__(self, shown: Selection, name: str, axis: str, text: str) -> None:
        self.name, self.axis = name, axis
        self.runs, self.planned = shown.runs, shown.planned
        self.values = sorted(self.planned[axis].unique())
        taus = [float(x) for x in self.planned.get("tau", pd.Series()).dropna().unique()]
        self.text = text.format(tau=", ".join(setting_text("tau", tau) for tau in taus))


def _panel(ax: Axes, results: Results, rows: pd.DataFrame) -> None:
    """Draw the samples of a run. `rows` has one row, or none if the run is not trained."""
    ax.set_xticks([])
    ax.set_yticks([])
    if rows.empty or rows.iloc[0]["status"] == "diverged":
        write_in(ax, "not run" if rows.empty else "diverged")
        return
    samples = results.arrays(rows.iloc[0])["samples"][: SIDE * SIDE]
    show_image(ax, image_grid(samples, SIDE))
