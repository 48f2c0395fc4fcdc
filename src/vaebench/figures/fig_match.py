"""The mismatch of the aggregated posterior and the prior against depth, training and dimensions."""

from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from vaebench.figures.latent import (
    BARS,
    epochs_text,
    measured,
    nothing_measured,
    points,
    symmetric_log_axis,
)
from vaebench.figures.style import PALETTE, Drawing, runs_text
from vaebench.results.read import Results, Selection

PANELS = (
    ("latent_kl", "KL, training codes (nats)"),
    ("latent_kl_held_out", "KL, test codes (nats)"),
    ("latent_linear", "mean and covariance (nats)"),
    ("latent_mmd", "MMD², share of E k"),
)


def draw(results: Results, shown: Selection) -> Drawing:  # noqa: ARG001 - all figures take it
    """A panel for each measure, a line for each depth and training length, n to the right."""
    rows = measured(shown)
    if rows.empty:
        return nothing_measured(shown)
    dims = sorted(int(n) for n in rows["latent_dim"].unique())
    pairs = zip(rows["hidden_layers"], rows["epochs"], strict=True)
    kinds = sorted({(int(depth), int(epochs)) for depth, epochs in pairs})
    depths = sorted({depth for depth, _ in kinds})
    lengths = sorted({epochs for _, epochs in kinds})
    figure, axes = plt.subplots(1, len(PANELS), figsize=(12.5, 3), layout="constrained")
    for ax, (column, title) in zip(axes, PANELS, strict=True):
        for k, (depth, epochs) in enumerate(kinds):
            own = rows[(rows["hidden_layers"] == depth) & (rows["epochs"] == epochs)]
            style = {
                "color": PALETTE[lengths.index(epochs) % len(PALETTE)],
                "fmt": ("o-", "s--", "^:", "v-.")[depths.index(depth) % 4],
                "label": f"{depth} layers, {epochs_text(epochs)}",
            }
            shift = 0.06 * (k - (len(kinds) - 1) / 2)
            _line(ax, own, column, dims, shift, style)
        ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        ax.set(title=title, xticks=range(len(dims)), xticklabels=dims, xlabel="n")
        if column == "latent_kl_held_out":
            symmetric_log_axis(ax)
    axes[-1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    caption = (
        "The aggregated posterior against N(0, I), by the number n of latent dimensions, hidden "
        "layers and epochs. From the left: the KL "
        "divergence of the training codes' posterior, which is at least that of the population in "
        "expectation; the same on test codes, which is at most that (a logarithmic axis beyond "
        "±1); the part of the first that mean and covariance have; MMD² over active dimensions. "
        f"{BARS} "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


def _line(
    ax: Axes, rows: pd.DataFrame, column: str, dims: list[int], shift: float, style: dict[str, Any]
) -> None:
    values = [rows.loc[rows["latent_dim"] == n, column].dropna().tolist() for n in dims]
    points(ax, values, shift, style)
