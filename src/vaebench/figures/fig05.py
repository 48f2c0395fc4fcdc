"""Figure 5: posterior means under the three methods for the posterior variance."""

from matplotlib import pyplot as plt

from vaebench.figures.style import (
    Drawing,
    bound_text,
    label_legend,
    objective_name,
    runs_text,
    scatter_by_label,
    single_runs,
)
from vaebench.results import Results


def draw(results: Results) -> Drawing:
    """One scatter plot a method, coloured by label, each with its bound."""
    rows = single_runs(results.of("posterior_variance", latent_dim=2), (0,))
    figure, axes = plt.subplots(
        1, len(rows), figsize=(2.9 * len(rows) + 0.7, 3.4), layout="constrained", squeeze=False
    )
    for ax, letter, (_, row) in zip(axes[0], "abcdefgh", rows.iterrows(), strict=False):
        arrays = results.arrays(row)
        scatter_by_label(ax, arrays["posterior_mean"], arrays["labels"])
        title = f"({letter}) {objective_name(row['objective'])}\n{bound_text(row)}"
        ax.set(title=title, xlabel="$\\mu_1$")
    axes[0, 0].set_ylabel("$\\mu_2$")
    label_legend(figure, arrays["labels"])
    caption = (
        "Posterior means of the test set in a two-dimensional latent space, coloured by label, "
        "for the methods of Figure 4. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
