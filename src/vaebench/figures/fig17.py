"""Figure 17: samples on CelebA, by method and by the distribution that z is drawn from."""

import pandas as pd

from vaebench.figures.faces import Panel, draw_panels, method_name, methods, methods_text
from vaebench.figures.style import Drawing, bound_text, runs_text
from vaebench.objectives import OBJECTIVES
from vaebench.results.read import Results, Selection

IMAGES = 32


def draw(results: Results, shown: Selection) -> Drawing:
    """Samples of each method from the fitted prior, and from N(0, I) if it was trained with it."""
    rows = methods(shown)
    panels = []
    for _, row in rows.iterrows():
        if _prior(row) == "standard":
            panels.append(Panel(row, "samples", f"{method_name(row)}, prior N(0, I)"))
        panels.append(Panel(row, "fitted_samples", f"{method_name(row)}, {_trace_text(row)}"))
    bounds = "; ".join(f"{method_name(row)} {bound_text(row)}" for _, row in rows.iterrows())
    lines = [panels[k : k + 2] for k in range(0, len(panels), 2)]
    caption = (
        "Samples from the prior that fits the training set best (Eq. 4), and, where training had "
        f"the prior N(0, I), from that too, for {methods_text(rows)}tr S² is the summed variance "
        f"of the former; in brackets, fitted to one batch alone. {bounds}. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(draw_panels(results, lines, IMAGES), caption, rows)


def _prior(row: pd.Series) -> str:
    chosen = row.get("prior")
    return chosen if isinstance(chosen, str) else OBJECTIVES[row["objective"]].prior[0]


def _trace_text(row: pd.Series) -> str:
    names = ("fitted_prior_trace", "fitted_prior_trace_batch")
    whole, batch = (
        f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        for value in (float(row[name]) for name in names)
    )
    return f"tr S² = {whole} ({batch})"
