"""Figure 14: latent manifold and scatter plots, Gaussian likelihood with T = I."""

from vaebench.figures.manifold import draw_manifold
from vaebench.figures.style import Drawing, first_seeds
from vaebench.results.read import Results, Selection


def draw(results: Results, shown: Selection) -> Drawing:
    """The run with two latent dimensions, unscaled data and the first seed."""
    return draw_manifold(
        results, first_seeds(shown.runs), "The paper does not print its λ; here 1. "
    )
