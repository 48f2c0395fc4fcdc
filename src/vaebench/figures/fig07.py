"""Figure 7: the standard ELBO and BILBO on CelebA, reconstructions and samples."""

from vaebench.figures.faces import (
    Panel,
    draw_panels,
    method_name,
    methods,
    methods_text,
    smaller_stds,
)
from vaebench.figures.style import Drawing, bound_text, runs_text
from vaebench.results.read import Results, Selection

IMAGES = 16


def draw(results: Results, shown: Selection) -> Drawing:
    """A column for each method, with inputs, reconstructions and samples from the fitted prior."""
    rows = smaller_stds(methods(shown))
    runs = [row for _, row in rows.iterrows()]
    lines = [
        [Panel(row, "inputs", f"inputs of: {method_name(row)}") for row in runs],
        [Panel(row, "reconstructions", f"reconstructions, {bound_text(row)}") for row in runs],
        [Panel(row, "fitted_samples", "samples, fitted prior") for row in runs],
    ]
    caption = (
        "Images of the held-out set, their reconstructions from the posterior mean, and samples "
        "from the prior that fits the training set best (Eq. 4), for "
        f"{methods_text(rows)}Shown: {runs_text(rows)}."
    )
    return Drawing(draw_panels(results, lines, IMAGES), caption, rows)
