"""Figure 10: posterior means on scaled data, Gaussian likelihood with T = I."""

from vaebench.figures.scatter import scatter_row
from vaebench.figures.style import Drawing, bound_text, first_seeds, runs_text, setting_text
from vaebench.results.read import Results, Selection

AXIS = "data_scale"


def draw(results: Results, shown: Selection) -> Drawing:
    """A scatter plot for each scale."""
    rows = first_seeds(shown.runs).sort_values(AXIS)
    figure = scatter_row(
        results, rows, lambda row: f"{setting_text(AXIS, row[AXIS])}\n{bound_text(row)}"
    )
    caption = (
        "Posterior means of the test set in a two-dimensional latent space, coloured by "
        "label, with a Gaussian likelihood of constant variance T = I; λ is a factor on the "
        "data. Each panel has its own scale. Bounds are of the unscaled data. The paper does "
        "not print its λ. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
