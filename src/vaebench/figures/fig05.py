"""Figure 5: posterior means under the three methods for the posterior variance."""

from vaebench.figures.scatter import scatter_row
from vaebench.figures.style import Drawing, bound_text, first_seeds, objective_name, runs_text
from vaebench.results.read import Results


def draw(results: Results) -> Drawing:
    """A scatter plot for each method, with its bound."""
    rows = first_seeds(results.of("posterior_variance", latent_dim=2))
    figure = scatter_row(
        results, rows, lambda row: f"{objective_name(row['objective'])}\n{bound_text(row)}"
    )
    caption = (
        "Posterior means of the test set in a two-dimensional latent space, coloured by label, "
        "for the methods of Figure 4. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
