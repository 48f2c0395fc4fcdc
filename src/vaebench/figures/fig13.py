"""Figure 13: latent manifold and scatter plots, BILBO if it is there."""

from vaebench.figures.manifold import draw_manifold, manifold_title
from vaebench.figures.style import Drawing, first_seeds
from vaebench.results.read import Results, Selection


def draw(results: Results, shown: Selection) -> Drawing:
    """The run of `bilbo`, or else of the second objective, with n = 2 and the first seed."""
    rows = first_seeds(shown.runs)
    return draw_manifold(results, rows, title=manifold_title(rows))
