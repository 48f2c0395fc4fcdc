"""The penalty of a constant Sigma: predicted by Eqs. 21 and 22, and measured."""

import numpy as np
from matplotlib import pyplot as plt

from vaebench.figures.measured import groups, measured, nothing_measured
from vaebench.figures.style import PALETTE, Drawing, runs_text
from vaebench.results.read import Results, Selection

KINDS = (
    ("eq22_predicted", "o", "½(log|E A| − E log|A|)"),
    ("eq22_second_order", "^", "Eq. 22: ¼ tr CV²"),
)
LEAST = 1e-3


def draw(results: Results, shown: Selection) -> Drawing:
    """A point for each run and each form of the prediction."""
    rows, initial = (measured(results, shown, state) for state in ("trained", "initial"))
    if rows.empty:
        return nothing_measured(shown)
    figure, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    everything = [LEAST]
    for k, (name, own) in enumerate(groups(rows)):
        colour = PALETTE[k % len(PALETTE)]
        x = np.maximum(own["eq22_measured"], LEAST)
        for column, marker, _ in KINDS:
            y = np.maximum(own[column], LEAST)
            ax.errorbar(
                *(x, y), xerr=own["eq22_error"], fmt=marker, markersize=5, color=colour,
                elinewidth=0.7, markerfacecolor=colour if marker == "o" else "none",
                label=name if marker == "o" else None,
            )  # fmt: skip
            everything += [*x, *y]
    first = initial[initial["folder"].isin(rows["folder"])]
    if not first.empty:
        x, y = (np.maximum(first[c], LEAST) for c in ("eq22_measured", "eq22_predicted"))
        ax.scatter(x, y, marker="+", s=25, color="0.5", linewidths=0.8, label="before training")
    for _, marker, text in KINDS:
        fill = "0.3" if marker == "o" else "none"
        ax.plot([], [], marker, color="0.3", markerfacecolor=fill, label=text)
    ends = np.array([LEAST, 1.5 * max(everything)])
    ax.plot(ends, ends, color="0.6", linewidth=0.8, zorder=0)
    ax.fill_between(ends, 0.75 * ends, 1.25 * ends, color="0.9", zorder=-1)
    ax.set(xscale="log", yscale="log", xlabel="measured penalty (nats)")
    ax.set_ylabel("predicted penalty (nats)")
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    caption = (
        "What one Σ for all images costs on the same decoder and the same posterior means: the "
        "bound with Σ_i = 1/A_i of each image minus that with the constant 1/E A, and what "
        "Eqs. 18, 21 and 22 predict. Bars are standard errors over images. In the grey band the "
        f"prediction is within 25%. Values below {LEAST:g} are drawn there. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
