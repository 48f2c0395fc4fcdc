"""Figure 2: posterior means of three runs that differ only in their seed."""

from vaebench.figures.scatter import scatter_row
from vaebench.figures.style import Drawing, bound_text, first_seeds, runs_text
from vaebench.results.read import Results


def draw(results: Results) -> Drawing:
    """Three scatter plots side by side, each with its bound."""
    rows = first_seeds(results.of("posterior_variance", objective="learned", latent_dim=2), 3)
    figure = scatter_row(results, rows, lambda row: f"seed {row['seed']}: {bound_text(row)}")
    caption = (
        "Posterior means of the test set in a two-dimensional latent space, coloured by label, "
        "with learned posterior variances, for runs that differ in their seed alone. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
