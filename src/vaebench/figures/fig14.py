"""Figure 14: latent manifold and scatter plots, Gaussian likelihood with T = I."""

from vaebench.figures.manifold import draw_manifold
from vaebench.figures.style import Drawing, first_seeds
from vaebench.results.read import Results


def draw(results: Results) -> Drawing:
    """The run with two latent dimensions, unscaled data and the first seed."""
    rows = results.of("gaussian_scale", likelihood="gaussian", latent_dim=2, data_scale=1.0)
    return draw_manifold(results, first_seeds(rows), "The paper does not print its λ; here 1. ")
