"""Figure 2: posterior means of three runs that differ in their seed alone."""

from matplotlib import pyplot as plt

from vaebench.figures.style import (
    Drawing,
    bound_text,
    label_legend,
    runs_text,
    scatter_by_label,
    single_runs,
)
from vaebench.results import Results


def draw(results: Results) -> Drawing:
    """Three scatter plots side by side, coloured by label, each with its bound."""
    rows = single_runs(
        results.of("posterior_variance", objective="learned", latent_dim=2), (0, 1, 2)
    )
    figure, axes = plt.subplots(
        1, len(rows), figsize=(2.9 * len(rows) + 0.7, 3.2), layout="constrained", squeeze=False
    )
    for ax, (_, row) in zip(axes[0], rows.iterrows(), strict=True):
        arrays = results.arrays(row)
        scatter_by_label(ax, arrays["posterior_mean"], arrays["labels"])
        ax.set(title=f"seed {row['seed']}: {bound_text(row)}", xlabel="$\\mu_1$")
    axes[0, 0].set_ylabel("$\\mu_2$")
    label_legend(figure, arrays["labels"])
    caption = (
        "Posterior means of the test set in a two-dimensional latent space, coloured by label, "
        "with learned posterior variances, for runs that differ in their seed alone. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
