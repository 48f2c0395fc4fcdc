"""Sigma_jj A_jj of Eq. 12 before training, after it, and of each image's best q."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import NullFormatter

from vaebench.figures.measured import groups, measured, nothing_measured
from vaebench.figures.style import PALETTE, Drawing, runs_text
from vaebench.results.equations import equation_arrays
from vaebench.results.read import Results, Selection

TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)
STATES = ("initial", "trained", "refined")


def draw(results: Results, shown: Selection) -> Drawing:
    """A panel for each objective and number of latent dimensions."""
    states = {state: measured(results, shown, state) for state in STATES}
    rows = states["trained"]
    if rows.empty:
        return nothing_measured(shown)
    named = groups(rows)
    figure, axes = plt.subplots(
        *(1, len(named)), figsize=(2.4 * len(named) + 0.6, 3.2), layout="constrained", sharey=True
    )
    for ax, (name, own) in zip(np.atleast_1d(axes), named, strict=True):
        arrays = equation_arrays(results.layout, own.iloc[0])
        active = arrays["active"] if arrays["active"].any() else ~arrays["active"]
        spread = {"initial": arrays["ratio_initial"], "trained": arrays["ratio"]}
        for place, state in enumerate(STATES):
            colour = PALETTE[place]
            if state in spread:
                values = spread[state][:, active].ravel()
                low, quarter, three, high = np.quantile(values, (0.05, 0.25, 0.75, 0.95))
                ax.vlines(place, low, high, color=colour, linewidth=1)
                ax.vlines(place, quarter, three, color=colour, linewidth=5, alpha=0.5)
            table = states[state]
            if not table.empty:
                seeds = table[table["folder"].isin(own["folder"])]
                # Shifted a little, so that seeds do not hide the spread over images.
                for column, marker in (("eq12_averaged", "o"), ("eq12_exact", "x")):
                    y = 1 + seeds[column].to_numpy()
                    x = np.full(len(y), place + (0.15 if marker == "o" else 0.3))
                    ax.scatter(x, y, marker=marker, s=16, color=colour, linewidths=1)
        ax.axhline(1, color="0.6", linewidth=0.8, zorder=0)
        ax.set(yscale="log", xticks=range(len(STATES)), xticklabels=STATES, title=name)
        ax.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_xlim(-0.4, len(STATES) - 0.4)
    np.atleast_1d(axes)[0].set_ylabel("$\\Sigma_{jj} A_{jj}$")
    caption = (
        "Eq. 12 says that Σ_jj A_jj is 1 (grey line), A = S⁻² + E J'WJ. Bars: 5, 25, 75 and 95% "
        "quantiles over test images and active dimensions of the first seed, with the averaged A. "
        "Circles: means of each seed. Crosses: the same with all of the Hessian (Stein's "
        "identity), which is exactly 1 where the variance is stationary. Refined: the best q of "
        f"each image on the frozen decoder. Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
