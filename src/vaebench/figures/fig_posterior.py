"""The exact posterior of a few images on a grid, under the encoder's ellipse."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Ellipse

from vaebench.figures.measured import groups, measured, nothing_measured
from vaebench.figures.style import Drawing, first_seeds, runs_text
from vaebench.results.equations import equation_arrays
from vaebench.results.read import Results, Selection

PANEL, LEAST_WIDTH = 1.9, 6.4
"""The widths of a panel and, for few images, of the figure, in inches."""


def draw(results: Results, shown: Selection) -> Drawing:
    """A row for each objective, a column for each image."""
    rows = first_seeds(measured(results, shown))
    if rows.empty:
        return nothing_measured(shown)
    named = [(name, equation_arrays(results.layout, own.iloc[0])) for name, own in groups(rows)]
    images = len(named[0][1]["encoder_mean"])
    width = max(PANEL * images, LEAST_WIDTH)
    figure, axes = plt.subplots(
        *(len(named), images), figsize=(width, 2.1 * len(named)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for place, (name, arrays) in zip(axes, named, strict=True):
        for k, ax in enumerate(place):
            joint = arrays["posterior_log_joint"][k].astype(float)
            extent = arrays["posterior_extent"][k]
            density = np.exp(joint - joint.max())
            ax.imshow(
                density, origin="lower", extent=tuple(extent), aspect="auto", cmap="Blues",
                interpolation="bilinear",
            )  # fmt: skip
            mean, std = arrays["encoder_mean"][k], arrays["encoder_std"][k]
            for size in (1, 2):
                width, height = 2 * size * std
                ax.add_patch(Ellipse(mean, width, height, fill=False, edgecolor="C3", linewidth=1))
            ax.plot(*mean, "+", color="C3", markersize=5)
            ax.set_title(f"gap {arrays['gap'][k]:.2f}", fontsize="small")
            ax.tick_params(labelsize="x-small")
            ax.locator_params(nbins=3)
        place[0].set_ylabel(name)
    caption = (
        "The exact posterior p(z|x) of the first test images (blue, the darkest is its maximum "
        "within the panel) and the encoder's q(z|x) (red: its mean, and ellipses of one and two "
        "standard deviations). Each panel is six of q's standard deviations wide to each side, "
        "and p(z|x) may have most of its mass outside. Titles: log p(x) − bound in nats, which is "
        f"the divergence of q from p(z|x). Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
