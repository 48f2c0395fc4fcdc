"""Sigma_jj A_jj of Eq. 12 over training, and of each image's best q."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from vaebench.figures.measured import groups, measured, nothing_measured
from vaebench.figures.style import PALETTE, Drawing, runs_text
from vaebench.results.equations import equation_arrays
from vaebench.results.read import Results, Selection

TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)
MARKERS = (("eq12_averaged", "o", 0.15), ("eq12_exact", "x", 0.3))
"""Shifted a little, so that seeds do not hide the spread over images."""


@dataclass(frozen=True)
class Stage:
    """Networks of one age."""

    name: str
    rows: pd.DataFrame
    """Their statistics, a row a seed. It may be empty."""
    spread: NDArray[np.floating] | None
    """Of the first seed, over test images and active dimensions."""
    colour: int


def draw(results: Results, shown: Selection, shorter: Selection) -> Drawing:
    """A panel for each objective and number of latent dimensions.

    Args:
        results: the tier's results.
        shown: runs of several objectives.
        shorter: the same with several numbers of epochs, fewer than those of `shown`. It may be
            empty.
    """
    rows, early = measured(results, shown), measured(results, shorter)
    if rows.empty:
        return nothing_measured(shown)
    named = groups(rows)
    stages = [list(_stages(results, shown, own, early)) for _, own in named]
    widths = [0.9 + 0.5 * len(each) for each in stages]
    figure, axes = plt.subplots(
        *(1, len(named)), figsize=(sum(widths) + 0.6, 3.2), layout="constrained", sharey=True,
        width_ratios=widths, squeeze=False,
    )  # fmt: skip
    for ax, (name, _), each in zip(axes[0], named, stages, strict=True):
        for place, stage in enumerate(each):
            _column(ax, place, stage)
        ax.axhline(1, color="0.6", linewidth=0.8, zorder=0)
        ax.set(yscale="log", xticks=range(len(each)), title=name, xlabel="epochs")
        ax.set_xticklabels([stage.name for stage in each])
        ax.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_xlim(-0.4, len(each) - 0.4)
    axes[0, 0].set_ylabel("$\\Sigma_{jj} A_{jj}$")
    used = pd.concat([rows, early]) if not early.empty else rows
    caption = (
        "Eq. 12 says that Σ_jj A_jj is 1 (grey line), A = S⁻² + E J'WJ. By the epochs of training: "
        "0 are the initial weights. Bars: 5, 25, 75 and 95% quantiles over test images and active "
        "dimensions of the first seed, with the averaged A. Circles: means of each seed. Crosses: "
        "the same with all of the Hessian (Stein's identity), which is exactly 1 where the "
        "variance is stationary. Refined: the best q of each image on the decoder after the last "
        f"epoch. Shown: {runs_text(rows)}"
    )
    if not early.empty:
        caption += f"; and {runs_text(early)}"
    return Drawing(figure, f"{caption}.", used)


def _stages(
    results: Results, shown: Selection, own: pd.DataFrame, early: pd.DataFrame
) -> Iterator[Stage]:
    """Of one objective and number of latent dimensions, from the untrained networks on."""
    arrays = equation_arrays(results.layout, own.iloc[0])
    kept = arrays["active"] if arrays["active"].any() else ~arrays["active"]
    initial = _of(measured(results, shown, "initial"), own)
    yield Stage("0", initial, arrays["ratio_initial"][:, kept].ravel(), 0)
    first = own.iloc[0]
    same = early[
        (early["objective"] == first["objective"]) & (early["latent_dim"] == first["latent_dim"])
    ]
    for epochs, rows in same.groupby("epochs"):
        found = equation_arrays(results.layout, rows.iloc[0])
        active = found["active"] if found["active"].any() else ~found["active"]
        yield Stage(f"{int(epochs)}", rows, found["ratio"][:, active].ravel(), 1)
    last = f"{int(first['epochs'])}" if pd.notna(first.get("epochs")) else "end"
    yield Stage(last, own, arrays["ratio"][:, kept].ravel(), 1)
    yield Stage("refined", _of(measured(results, shown, "refined"), own), None, 2)


def _of(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    return table if table.empty else table[table["folder"].isin(runs["folder"])]


def _column(ax: Axes, place: int, stage: Stage) -> None:
    colour = PALETTE[stage.colour]
    if stage.spread is not None:
        low, quarter, three, high = np.quantile(stage.spread, (0.05, 0.25, 0.75, 0.95))
        ax.vlines(place, low, high, color=colour, linewidth=1)
        ax.vlines(place, quarter, three, color=colour, linewidth=5, alpha=0.5)
    for column, marker, shift in MARKERS:
        if column in stage.rows:
            y = 1 + stage.rows[column].to_numpy(dtype=float)
            x = np.full(len(y), place + shift)
            ax.scatter(x, y, marker=marker, s=16, color=colour, linewidths=1)
