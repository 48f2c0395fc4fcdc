"""The evidence of each image against the bound, and the gap against that of Eq. 18."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import NullFormatter

from vaebench.figures.measured import groups, measured, nothing_measured
from vaebench.figures.style import Drawing, first_seeds, listed, objective_colours, runs_text
from vaebench.results.equations import equation_arrays
from vaebench.results.read import Results, Selection

LEAST = 1e-2
"""Gaps below this, in nats, are drawn there."""


def draw(results: Results, shown: Selection) -> Drawing:
    """A column for each objective and number of latent dimensions."""
    rows = first_seeds(measured(results, shown))
    if rows.empty:
        return nothing_measured(shown)
    named = groups(rows)
    colours = objective_colours(rows["objective"].tolist())
    figure, axes = plt.subplots(
        *(2, len(named)), figsize=(2.6 * len(named) + 0.6, 5.2), layout="constrained", squeeze=False
    )
    images = set()
    for column, (name, own) in enumerate(named):
        row = own.iloc[0]
        arrays = equation_arrays(results.layout, row)
        images.add(len(arrays["gap"]))
        colour = colours[row["objective"]]
        above, below = axes[:, column]
        gap, predicted = (np.maximum(arrays[key], LEAST) for key in ("gap", "gap_predicted"))
        pairs = ((above, arrays["elbo"], arrays["log_p"]), (below, gap, predicted))
        for ax, x, y in pairs:
            ax.scatter(x, y, s=7, alpha=0.6, linewidths=0, color=colour, rasterized=True)
            both = np.concatenate([x, y])
            ends = [both.min(), both.max()]
            ax.plot(ends, ends, color="0.6", linewidth=0.8, zorder=0)
        below.set(xscale="log", yscale="log", xlabel="gap log p(x) − bound (nats)")
        for axis in (below.xaxis, below.yaxis):
            axis.set_minor_formatter(NullFormatter())
        above.set(xlabel="bound (nats)")
        above.set_title(f"{name}\nmean gap {arrays['gap'].mean():.2f} nats")
    # Panels of one scale, with the decades that all of them need.
    ends = [f(line.get_xdata()) for ax in axes[1] for line in ax.lines for f in (min, max)]
    for ax in axes[1]:
        ax.set(xlim=(0.7 * min(ends), 1.4 * max(ends)), ylim=(0.7 * min(ends), 1.4 * max(ends)))
    axes[0, 0].set_ylabel("log p(x) (nats)")
    axes[1, 0].set_ylabel("gap by Eq. 18, averaged A (nats)")
    caption = (
        f"Above: the log evidence of {listed([f'{count:,}' for count in sorted(images)])} test "
        "images (exact where a grid is possible, by annealed "
        "importance sampling elsewhere) against the evidence lower bound; on the grey line they "
        "are equal. Below: the gap between the two against the right side of Eq. 18, the "
        "divergence of two Gaussians with the same mean. Those below "
        f"{LEAST:g} nats are drawn there. Under a Bernoulli likelihood of grey images, log p(x) "
        "is the log of the integral of exp(−cross entropy). "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
