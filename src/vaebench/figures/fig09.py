"""Figure 9: posterior means under several constant variances."""

from vaebench.figures.scatter import scatter_row
from vaebench.figures.style import (
    Drawing,
    bound_text,
    first_seeds,
    objective_name,
    runs_text,
    setting_text,
)
from vaebench.results.read import Results, Selection

AXIS = "posterior_std"


def draw(results: Results, shown: Selection) -> Drawing:
    """A scatter plot for each std."""
    rows = first_seeds(shown.runs).sort_values(AXIS)
    figure = scatter_row(
        results, rows, lambda row: f"{setting_text(AXIS, row[AXIS])}\n{bound_text(row)}"
    )
    caption = (
        "Posterior means of the test set in a two-dimensional latent space, coloured by "
        f"label, trained with {objective_name(rows.iloc[0]['objective'])} and different constant "
        "variances Σ = σ² I. Each panel has "
        "its own scale. The paper does not print its σ. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
