"""Figure 9: posterior means under several constant variances."""

from vaebench.figures.scatter import scatter_row
from vaebench.figures.style import Drawing, bound_text, first_seeds, runs_text, setting_text
from vaebench.results.read import Results

AXIS = "posterior_std"


def draw(results: Results) -> Drawing:
    """A scatter plot for each std."""
    rows = first_seeds(results.of("constant_variance", latent_dim=2)).sort_values(AXIS)
    figure = scatter_row(
        results, rows, lambda row: f"{setting_text(AXIS, row[AXIS])}\n{bound_text(row)}"
    )
    caption = (
        "Posterior means of the test set in a two-dimensional latent space, coloured by "
        "label, trained with BILBO and different constant variances Σ = σ² I. Each panel has "
        "its own scale. The paper does not print its σ. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
