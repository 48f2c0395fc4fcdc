"""Figure 17: samples on CelebA, by method and by the distribution that z is drawn from."""

import pandas as pd

from vaebench.figures.faces import NOTE, Panel, draw_panels, method_name, methods
from vaebench.figures.style import Drawing, bound_text, runs_text
from vaebench.results.read import Results

IMAGES = 32


def draw(results: Results) -> Drawing:
    """Samples of the standard ELBO from N(0, I) and the fitted prior, and of BILBO at each std."""
    rows = methods(results)
    panels = []
    for _, row in rows.iterrows():
        if row["objective"] == "learned":
            panels.append(Panel(row, "samples", f"{method_name(row)}, prior N(0, I)"))
        panels.append(Panel(row, "fitted_samples", f"{method_name(row)}, {_trace_text(row)}"))
    bounds = "; ".join(f"{method_name(row)} {bound_text(row)}" for _, row in rows.iterrows())
    lines = [panels[k : k + 2] for k in range(0, len(panels), 2)]
    caption = (
        "Samples for the standard ELBO (Eq. 1), from N(0, I) and from the prior that fits the "
        "training set best (Eq. 4), and for BILBO (Eq. 24) with Σ = σ² I, from that prior. tr S² "
        f"is its summed variance; in brackets, fitted to one batch alone. {NOTE}{bounds}. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(draw_panels(results, lines, IMAGES), caption, rows)


def _trace_text(row: pd.Series) -> str:
    names = ("fitted_prior_trace", "fitted_prior_trace_batch")
    whole, batch = (
        f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        for value in (float(row[name]) for name in names)
    )
    return f"tr S² = {whole} ({batch})"
