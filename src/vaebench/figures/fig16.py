"""Figure 16: reconstructions on CelebA under the standard ELBO and BILBO."""

from vaebench.figures.faces import Panel, draw_panels, method_name, methods, methods_text
from vaebench.figures.style import Drawing, bound_text, runs_text
from vaebench.results.read import Results, Selection

IMAGES = 32


def draw(results: Results, shown: Selection) -> Drawing:
    """A row for each method, with inputs and their reconstructions."""
    rows = methods(shown)
    lines = [
        [
            Panel(row, "inputs", f"inputs of: {method_name(row)}"),
            Panel(row, "reconstructions", f"reconstructions, {bound_text(row)}"),
        ]
        for _, row in rows.iterrows()
    ]
    caption = (
        "Images of the held-out set and their reconstructions from the posterior mean, for "
        f"{methods_text(rows)}Shown: {runs_text(rows)}."
    )
    return Drawing(draw_panels(results, lines, IMAGES), caption, rows)
