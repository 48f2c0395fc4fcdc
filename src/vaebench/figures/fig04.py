"""Figure 4: three methods for the posterior variance, bound during training and samples."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from vaebench.figures.style import (
    OBJECTIVE_COLOURS,
    Drawing,
    first_seeds,
    image_grid,
    objective_name,
    runs_text,
    show_image,
    show_settled,
    write_in,
)
from vaebench.results.intervals import estimate
from vaebench.results.read import Results

LINES = ("-", "--", ":")
SAMPLE_COLUMNS, SAMPLE_ROWS = 8, 4


def draw(results: Results) -> Drawing:
    """(a, b) test bound by epoch for low and high n; (c) samples of each method and n."""
    rows, planned = results.of("posterior_variance"), results.planned("posterior_variance")
    objectives = list(dict.fromkeys(planned["objective"]))
    dims = sorted(int(n) for n in planned["latent_dim"].unique())
    figure = plt.figure(figsize=(10, 8.2), layout="constrained")
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.05, 1))[:, 0]
    panels = top.subplots(1, len(dims), squeeze=False)[0]
    for ax, letter, n in zip(panels, "abcdefgh", dims, strict=False):
        _progress(ax, results, rows[rows["latent_dim"] == n], objectives)
        ax.set_title(f"({letter}) n = {n}", loc="left")
    grid = bottom.subplots(len(dims), len(objectives), squeeze=False)
    for line, n in zip(grid, dims, strict=True):
        for ax, objective in zip(line, objectives, strict=True):
            runs = rows[(rows["latent_dim"] == n) & (rows["objective"] == objective)]
            shown = runs[runs["status"] == "completed"]
            ax.set_title(f"{objective_name(objective)}, n = {n}")
            if shown.empty:
                ax.set_axis_off()
                write_in(ax, "not run" if runs.empty else "all runs diverged")
                continue
            samples = results.arrays(first_seeds(shown).iloc[0])["samples"]
            show_image(ax, image_grid(samples[: SAMPLE_COLUMNS * SAMPLE_ROWS], SAMPLE_COLUMNS))
    bottom.suptitle("(c) generative samples", x=0.01, ha="left", fontsize="medium")
    caption = (
        "Three methods for determining the posterior variance: learned (Eq. 1), constant with the "
        "prior of Eq. 4 (Eq. 2) and BILBO (Eq. 24). (a, b) Test bound during training, mean over "
        "the seeds with its 95% interval; larger is better. The vertical axis leaves out the first "
        "epochs. (c) Samples from the prior, for the first seed that did not diverge. Constant and "
        "BILBO are one objective in two forms: their runs differ by rounding alone, which training "
        "amplifies. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


def _progress(ax: Axes, results: Results, rows: pd.DataFrame, objectives: list[str]) -> None:
    # A diverged run has no bound after it diverged, so it is left out. The caption names it.
    completed = rows[rows["status"] == "completed"]
    history = results.history.merge(completed[["experiment", "folder", "objective", "seed"]])
    for objective, line in zip(objectives, LINES * len(objectives), strict=False):
        points = history[history["objective"] == objective].groupby("epoch")["test_elbo"]
        if not len(points):
            continue
        curve = pd.DataFrame([vars(estimate(values.tolist())) for _, values in points])
        epochs = np.array([epoch for epoch, _ in points], dtype=int)
        colour = OBJECTIVE_COLOURS[objective]
        ax.plot(epochs, curve["mean"], line, color=colour, label=objective_name(objective))
        ax.fill_between(epochs, curve["low"], curve["high"], color=colour, alpha=0.2, linewidth=0)
    show_settled([ax])
    ax.set(xlabel="epoch", ylabel="test bound (nats)")
    if rows.empty:
        ax.set_axis_off()
        write_in(ax, "not run")
        return
    ax.legend(frameon=False, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
