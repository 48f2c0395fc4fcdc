"""Figure 11: posterior means under BAGGINS with several information factors."""

from vaebench.figures.scatter import scatter_row
from vaebench.figures.style import Drawing, bound_text, first_seeds, runs_text, setting_text
from vaebench.results.read import Results, Selection

AXIS = "tau"


def draw(results: Results, shown: Selection) -> Drawing:
    """A scatter plot for each tau."""
    rows = first_seeds(shown.runs).sort_values(AXIS)
    figure = scatter_row(
        results, rows, lambda row: f"{setting_text(AXIS, row[AXIS])}\n{bound_text(row)}"
    )
    caption = (
        "Posterior means of the test set in a two-dimensional latent space, coloured by "
        "label, with a Gaussian likelihood whose variances BAGGINS determines, with "
        "information factor τ. Each panel has its own scale. The bound takes one scalar "
        "variance, the training set's mean squared residual. The paper does not print its τ. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
