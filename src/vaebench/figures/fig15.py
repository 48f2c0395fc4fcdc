"""Figure 15: latent manifold and scatter plots, BAGGINS with an information factor of 1."""

from vaebench.figures.manifold import draw_manifold
from vaebench.figures.style import Drawing, first_seeds
from vaebench.results.read import Results


def draw(results: Results) -> Drawing:
    """The run with two latent dimensions, tau = 1 and the first seed."""
    rows = results.of("baggins_information", latent_dim=2, tau=1.0)
    return draw_manifold(results, first_seeds(rows))
