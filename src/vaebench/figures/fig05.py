"""Figure 5: posterior means under the methods for the posterior variance."""

from vaebench.figures.methods import caption_of, methods, title_of
from vaebench.figures.scatter import scatter_row
from vaebench.figures.style import Drawing, bound_text, first_seeds, runs_text
from vaebench.results.read import Results, Selection


def draw(results: Results, shown: Selection) -> Drawing:
    """A scatter plot for each method, with its bound."""
    rows, compared = first_seeds(shown.runs), methods(shown)
    names = {index: m.name for m in compared for index in m.of(rows).index}
    figure = scatter_row(results, rows, lambda row: f"{names[row.name]}\n{bound_text(row)}")
    called = caption_of(compared)
    caption = (
        "Posterior means of the test set in a two-dimensional latent space, coloured by label. "
        f"{called}. Shown: {runs_text(rows)}."
    )
    title = title_of(compared)
    title = title[0].lower() + title[1:] if len(compared) > 1 else title
    return Drawing(figure, caption, rows, f"Posterior means under {title}")
