"""Figure 15: latent manifold and scatter plots, BAGGINS with an information factor of 1."""

from vaebench.figures.manifold import draw_manifold
from vaebench.figures.style import Drawing, first_seeds
from vaebench.results.read import Results, Selection


def draw(results: Results, shown: Selection) -> Drawing:
    """The run with two latent dimensions, tau = 1 and the first seed."""
    return draw_manifold(results, first_seeds(shown.runs))
