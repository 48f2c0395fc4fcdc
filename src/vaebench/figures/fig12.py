"""Figure 12: latent manifold and scatter plots, learned posterior variances."""

from vaebench.figures.manifold import draw_manifold
from vaebench.figures.style import Drawing, first_seeds
from vaebench.results.read import Results


def draw(results: Results) -> Drawing:
    """The run of `learned` with two latent dimensions and the first seed."""
    rows = results.of("posterior_variance", objective="learned", latent_dim=2)
    return draw_manifold(results, first_seeds(rows))
