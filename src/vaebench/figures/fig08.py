"""Figure 8: the bound during training with a hard-coded scaling of the codes."""

import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from vaebench.figures.style import (
    OBJECTIVE_COLOURS,
    Drawing,
    runs_text,
    setting_text,
    show_settled,
    write_in,
)
from vaebench.results.read import Results


def draw(results: Results) -> Drawing:
    """A row for each n, a column for each factor c, and a curve for each std and for `learned`."""
    rows, planned = results.of("latent_scaling"), results.planned("latent_scaling")
    dims = sorted(int(n) for n in planned["latent_dim"].unique())
    scales = sorted(planned["latent_scale"].unique())
    stds = sorted(planned["posterior_std"].dropna().unique())
    colours = dict(zip(stds, sns.color_palette("viridis", len(stds)), strict=True))
    figure, axes = plt.subplots(
        len(dims),
        len(scales),
        figsize=(2.5 * len(scales) + 1.2, 2.5 * len(dims) + 0.4),
        layout="constrained",
        squeeze=False,
        sharey="row",
        sharex="row",
    )
    for line, n in zip(axes, dims, strict=True):
        for ax, scale in zip(line, scales, strict=True):
            here = rows[(rows["latent_dim"] == n) & (rows["latent_scale"] == scale)]
            _curves(ax, results, here, colours)
            ax.set_title(f"n = {n}, {setting_text('latent_scale', scale)}")
            ax.set_xlabel("epoch")
        show_settled(line.tolist())
        line[0].set_ylabel("test bound (nats)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    caption = (
        "Test bound during training, mean over seeds, with a hard-coded factor c on the encoder's "
        "output and 1/c on the decoder's input. σ: BILBO with Σ = σ² I (Eq. 24); learned: Eq. 1. "
        "All runs of a row have the same optimum. The vertical axis leaves out the first epochs; "
        "runs that diverged are left out of the means. The paper does not print its n, c and σ. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


def _curves(
    ax: Axes, results: Results, rows: pd.DataFrame, colours: dict[float, tuple[float, ...]]
) -> None:
    if rows.empty:
        write_in(ax, "not run")
    completed = rows[rows["status"] == "completed"]
    columns = ["experiment", "folder", "objective", "posterior_std"]
    history = results.history.merge(completed[columns])
    for std, colour in colours.items():
        curve = history[history["posterior_std"] == std].groupby("epoch")["test_elbo"].mean()
        ax.plot(curve.index, curve, color=colour, label=setting_text("posterior_std", std))
    learned = history[history["objective"] == "learned"].groupby("epoch")["test_elbo"].mean()
    ax.plot(
        learned.index, learned, "--", color=OBJECTIVE_COLOURS["learned"], lw=1.8, label="learned"
    )
    sns.despine(ax=ax)
