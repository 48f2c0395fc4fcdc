"""Figure 3: learned posterior variances against posterior means."""

from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray

from vaebench.figures.style import OBJECTIVE_COLOURS, Drawing, first_seeds, runs_text
from vaebench.results.read import Results, Selection

BINS = 20
NAMES = ("x", "y")


def draw(results: Results, shown: Selection) -> Drawing:
    """A row for each seed, up to three; columns pair each variance with both means."""
    rows = first_seeds(shown.runs, 3)
    figure, axes = plt.subplots(
        len(rows), 4, figsize=(10, 2.3 * len(rows) + 0.3), layout="constrained", squeeze=False
    )
    pairs = [(0, 0), (1, 1), (0, 1), (1, 0)]
    for line, (_, row) in zip(axes, rows.iterrows(), strict=True):
        arrays = results.arrays(row)
        mean = arrays["posterior_mean"].astype(float)
        variance = arrays["posterior_std"].astype(float) ** 2
        for ax, (of, against) in zip(line, pairs, strict=True):
            _cloud(ax, mean[:, against], variance[:, of])
            ax.set(xlabel=f"mean {NAMES[against]} / $s$", ylabel=f"variance {NAMES[of]} / $s^2$")
        line[0].set_ylabel(f"seed {row['seed']}\n{line[0].get_ylabel()}")
    for ax, (of, against) in zip(axes[0], pairs, strict=True):
        ax.set_title("same dimension" if of == against else "other dimension")
    caption = (
        "Learned posterior variances of the test set against posterior means, relative to the "
        "prior's scale s = 1, for runs that differ in their seed alone: against the mean "
        "of the same dimension (left) and of the other (right). Lines are medians in "
        f"{BINS} bins of equal count. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


def _cloud(ax: Axes, x: NDArray[Any], y: NDArray[Any]) -> None:
    keep = np.isfinite(x) & np.isfinite(y)
    x, y = x[keep], y[keep]
    ax.scatter(
        x, y, s=1.5, alpha=0.35, linewidths=0, color=OBJECTIVE_COLOURS["learned"], rasterized=True
    )
    order = np.array_split(np.argsort(x), BINS)
    bins = [part for part in order if len(part)]
    ax.plot(
        [np.median(x[part]) for part in bins], [np.median(y[part]) for part in bins], "k-", lw=1
    )
    # Variances differ by orders of magnitude between the border and the centre.
    ax.set_yscale("log")
