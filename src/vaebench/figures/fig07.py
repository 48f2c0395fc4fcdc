"""Figure 7: the standard ELBO and BILBO on CelebA, reconstructions and samples."""

from vaebench.figures.faces import NOTE, Panel, draw_panels, method_name, methods, smaller_stds
from vaebench.figures.style import Drawing, bound_text, runs_text
from vaebench.results.read import Results

IMAGES = 16


def draw(results: Results) -> Drawing:
    """A column for each method, with inputs, reconstructions and samples from the fitted prior."""
    rows = smaller_stds(methods(results))
    runs = [row for _, row in rows.iterrows()]
    lines = [
        [Panel(row, "inputs", f"inputs of: {method_name(row)}") for row in runs],
        [Panel(row, "reconstructions", f"reconstructions, {bound_text(row)}") for row in runs],
        [Panel(row, "fitted_samples", "samples, fitted prior") for row in runs],
    ]
    caption = (
        "Images of the held-out set, their reconstructions from the posterior mean, and samples "
        "from the prior that fits the training set best (Eq. 4), for the standard ELBO (Eq. 1) and "
        f"BILBO (Eq. 24) with Σ = σ² I. {NOTE}"
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(draw_panels(results, lines, IMAGES), caption, rows)
