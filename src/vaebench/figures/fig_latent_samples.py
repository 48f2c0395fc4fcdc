"""Samples of one run side by side: z from the prior, fitted Gaussian, aggregated posterior."""

from matplotlib import pyplot as plt

from vaebench.figures.latent import measured, nothing_measured
from vaebench.figures.style import Drawing, first_seeds, image_grid, runs_text, show_image
from vaebench.results.latent import latent_arrays
from vaebench.results.read import Results, Selection

PRIORS = (
    ("prior", "prior"),
    ("gaussian", "fitted Gaussian"),
    ("aggregated", "aggregated posterior"),
)
COLUMNS = 8


def draw(results: Results, shown: Selection) -> Drawing:
    """A row for each n, a column for each distribution of z; least depth, most epochs."""
    rows = measured(shown)
    if rows.empty:
        return nothing_measured(shown)
    rows = rows[rows["hidden_layers"] == rows["hidden_layers"].min()]
    rows = first_seeds(rows[rows["epochs"] == rows["epochs"].max()])
    dims = sorted(int(n) for n in rows["latent_dim"].unique())
    figure, axes = plt.subplots(
        *(len(dims), len(PRIORS)), figsize=(8.4, 2.3 * len(dims)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for place, n in zip(axes, dims, strict=True):
        row = rows[rows["latent_dim"] == n].iloc[0]
        arrays = latent_arrays(results.layout, row)
        for ax, (name, title) in zip(place, PRIORS, strict=True):
            show_image(ax, image_grid(arrays[f"samples_{name}"], COLUMNS))
            suffix = "" if name == "prior" else f"_{name}"
            kid = row.get(f"latent_log_kid{suffix}")
            known = "" if kid is None or kid != kid else f": log KID {kid:.2f}".replace("-", "−")
            ax.set_title(f"{title}{known}", fontsize="small")
        place[0].set_ylabel(f"n = {n}")
    caption = (
        "Means of p(x|z) for z from the prior N(0, I), from the Gaussian with mean and covariance "
        "of the aggregated posterior, and from the aggregated posterior itself. The first two "
        "share their noise. Titles: the logarithm of the kernel distance of a classifier's "
        f"features from test images (smaller is better). Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
