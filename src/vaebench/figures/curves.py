"""Curves of the bound during training, over the seeds of a method."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from vaebench.results.intervals import estimate
from vaebench.results.read import Results

LEAST_FOR_A_BAND = 4
"""With fewer seeds, an interval says little, so the single runs are drawn instead."""
FEW_EPOCHS = 10
"""Up to so many, ticks would stand between them."""
RUNS_KEY = ["experiment", "folder"]


def band_text(rows: pd.DataFrame) -> str:
    """What a caption says of the lines: `mean over the seeds with its 95% interval`."""
    seeds = rows["seed"].nunique()
    if seeds >= LEAST_FOR_A_BAND:
        return "mean over the seeds with its 95% interval"
    return "mean over the seeds, thin lines are single runs" if seeds > 1 else "one seed"


def draw_curve(
    ax: Axes, results: Results, rows: pd.DataFrame, label: str, style: dict[str, Any]
) -> None:
    """Draw the mean bound of runs that differ in their seed, with a band or the single runs.

    Diverged runs are left out, since they have no bound after they diverged.

    Args:
        ax: where to draw; the horizontal axis gets a label.
        results: the tier's results.
        rows: the runs.
        label: their name in the legend. An empty one is left out of it.
        style: options of `Axes.plot`, with a `color`.
    """
    draw_bounds(ax, bounds_of(results, rows), label, style)


def draw_lead(
    ax: Axes,
    results: Results,
    rows: pd.DataFrame,
    minus: pd.DataFrame,
    label: str,
    style: dict[str, Any],
) -> None:
    """As `draw_curve`, of the bound minus that of other runs at the same seed and place.

    Args:
        ax: where to draw.
        results: the tier's results.
        rows: the runs.
        minus: the other runs, one for each seed and latent dimension.
        label: the name of the difference in the legend.
        style: options of `Axes.plot`, with a `color`.
    """
    ours, theirs = bounds_of(results, rows), bounds_of(results, minus)
    unit = _unit(ours)
    on = ["latent_dim", "seed", unit]
    both = ours.merge(theirs[[*on, "test_elbo"]], on=on, suffixes=("", "_of"))
    both["test_elbo"] -= both["test_elbo_of"]
    draw_bounds(ax, both, label, style)


def bounds_of(results: Results, rows: pd.DataFrame) -> pd.DataFrame:
    """The history of the completed runs among these, with their latent dimensions and seeds."""
    completed = rows[rows["status"] == "completed"]
    return results.history.merge(completed[[*RUNS_KEY, "latent_dim", "seed"]])


def draw_bounds(ax: Axes, history: pd.DataFrame, label: str, style: dict[str, Any]) -> None:
    """Draw the mean of `test_elbo` over the runs of a history, with a band or the single runs."""
    unit = _unit(history)
    points = history.groupby(unit)["test_elbo"]
    if not len(points):
        return
    runs = history.groupby(RUNS_KEY, sort=False)
    curve = pd.DataFrame([vars(estimate(values.tolist())) for _, values in points])
    places = np.array([place for place, _ in points], dtype=int)
    ax.plot(places, curve["mean"], label=label or None, **style)
    if len(runs) >= LEAST_FOR_A_BAND:
        band = {"color": style["color"], "alpha": 0.2, "linewidth": 0}
        ax.fill_between(places, curve["low"], curve["high"], **band)
    elif len(runs) > 1:
        for _, run in runs:
            run = run.sort_values(unit)
            thin = {**style, "linewidth": 0.6, "alpha": 0.6}
            ax.plot(run[unit].astype(int), run["test_elbo"], **thin)
    ax.set_xlabel(unit)
    if places.max() <= FEW_EPOCHS:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _unit(history: pd.DataFrame) -> str:
    """What places are counted in: training that is counted in steps has no epochs."""
    return "epoch" if history["epoch"].notna().any() else "step"
