"""The aggregated posterior of two-dimensional codes on the contours of the prior."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Circle

from vaebench.figures.latent import epochs_text, measured, nothing_measured
from vaebench.figures.style import Drawing, first_seeds, runs_text
from vaebench.results.latent import latent_arrays
from vaebench.results.read import Results, Selection

SHARES = (0.5, 0.9, 0.99)
"""Of the mass of N(0, I) inside its contours."""
REACH = 4.5


def draw(results: Results, shown: Selection) -> Drawing:
    """A row for each depth, a column for each training length; the first seed."""
    rows = measured(shown)
    rows = first_seeds(rows[rows["latent_dim"] == 2])
    if rows.empty:
        return nothing_measured(shown)
    depths = sorted(rows["hidden_layers"].unique())
    lengths = sorted(rows["epochs"].unique())
    figure, axes = plt.subplots(
        *(len(depths), len(lengths)), figsize=(2.9 * len(lengths) + 0.6, 2.9 * len(depths)),
        layout="constrained", squeeze=False, sharex=True, sharey=True,
    )  # fmt: skip
    for place, depth in zip(axes, depths, strict=True):
        for ax, epochs in zip(place, lengths, strict=True):
            own = rows[(rows["hidden_layers"] == depth) & (rows["epochs"] == epochs)]
            if own.empty:
                ax.set_axis_off()
                continue
            row = own.iloc[0]
            arrays = latent_arrays(results.layout, row)
            axis, density = arrays["axis"], np.exp(arrays["log_density"].astype(float))
            # The first dimension of the array is z_1, which goes to the right.
            ax.pcolormesh(
                axis, axis, density.T, cmap="Blues", vmin=0, vmax=1.6 / (2 * np.pi),
                shading="gouraud", rasterized=True,
            )  # fmt: skip
            for share in SHARES:
                radius = np.sqrt(-2 * np.log(1 - share))
                ax.add_patch(Circle((0, 0), radius, fill=False, color="C3", linewidth=0.9))
            low, high = row["latent_kl_held_out"], row["latent_kl"]
            text = f"KL {low:.2f} to {high:.2f}".replace("-", "−")
            ax.set_title(
                f"{int(depth)} layers, {epochs_text(int(epochs))}: {text}", fontsize="small"
            )
            ax.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
        place[0].set_ylabel("$z_2$")
    for ax in axes[-1]:
        ax.set_xlabel("$z_1$")
    caption = (
        "The aggregated posterior, the mean of q(z|x) over all training images (blue; the darkest "
        "is 1.6 times the prior's maximum or more), on the contours of N(0, I) that hold 50, 90 "
        "and 99% of it (red). Titles: its KL divergence from N(0, I) in nats, from test codes and "
        f"from training codes. Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
