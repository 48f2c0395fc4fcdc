"""A full covariance matrix against a diagonal one: bound, loss by the axes, correlations."""

from typing import Any

import pandas as pd
from matplotlib import pyplot as plt

from vaebench.figures.latent import (
    BARS,
    measured,
    nothing_measured,
    points,
    symmetric_log_axis,
)
from vaebench.figures.style import PALETTE, Drawing, objective_name, runs_text
from vaebench.results.read import Results, Selection

LOSSES = (
    ("latent_diagonal_loss_random", "random axes"),
    ("latent_diagonal_loss", "axes of the run"),
    ("latent_diagonal_loss_best", "best axes found"),
)
CORRELATIONS = (("latent_correlation", "q(z|x)"), ("latent_correlation_exact", "p(z|x)"))
BASELINE = "learned"
BESIDE: dict[str, Any] = {
    **{"frameon": False, "fontsize": "x-small", "loc": "center left", "bbox_to_anchor": (1, 0.5)},
}


def draw(results: Results, shown: Selection) -> Drawing:  # noqa: ARG001 - all figures take it
    """Panels: the bound beyond `learned`, what a diagonal matrix loses, mean correlations."""
    rows = measured(shown)
    if rows.empty:
        return nothing_measured(shown)
    dims = sorted(int(n) for n in rows["latent_dim"].unique())
    objectives = list(dict.fromkeys(rows["objective"]))
    figure, axes = plt.subplots(1, 3, figsize=(14, 3.2), layout="constrained")
    for k, objective in enumerate(name for name in objectives if name != BASELINE):
        leads = [_lead(rows, objective, n) for n in dims]
        if any(leads):
            style = {"color": PALETTE[k % len(PALETTE)], "label": objective_name(objective)}
            shift = 0.07 * (k - (len(objectives) - 2) / 2)
            points(axes[0], leads, shift, style)
    axes[0].axhline(0, color="0.6", linewidth=0.8)
    axes[0].set(title=f"test bound minus {objective_name(BASELINE)} (nats)")
    symmetric_log_axis(axes[0])
    axes[0].legend(**BESIDE)
    compared = [name for name in (BASELINE, "full") if name in objectives]
    for ax, columns in ((axes[1], LOSSES), (axes[2], CORRELATIONS)):
        for j, objective in enumerate(compared):
            for k, (column, text) in enumerate(columns):
                own = rows[rows["objective"] == objective]
                values = [own.loc[own["latent_dim"] == n, column].dropna().tolist() for n in dims]
                style = {
                    "color": PALETTE[k],
                    "label": f"{objective_name(objective)}: {text}",
                    "fillstyle": "full" if j == 0 else "none",
                }
                points(ax, values, 0.12 * (k - 1) + 0.06 * (j - 0.5), style)
        ax.legend(**BESIDE)
    axes[1].set(title="what a diagonal Σ loses by its axes (nats)")
    axes[2].set(title="mean |correlation|, active dimensions")
    for ax in axes[1:]:
        ax.set_ylim(-0.04 * ax.get_ylim()[1], None)  # Points at 0 are whole.
    for ax in axes:
        ax.set(xticks=range(len(dims)), xticklabels=dims, xlabel="n", xlim=(-0.5, len(dims) - 0.5))
    caption = (
        "A full covariance matrix of q(z|x) against a diagonal one (Learned Σ), by the number n of "
        "latent dimensions. Left: the lead in the test bound over Learned Σ at the same seed (a "
        "logarithmic axis beyond ±1). Middle: ½(Σ log A_jj − log det A), what the best diagonal Σ "
        "loses against the best full one, for the axes of the run, for random and for the best "
        "ones. Right: correlations of q and of the exact posterior, by a grid for n = 2 and from "
        f"A⁻¹ else. {BARS} "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


def _lead(rows: pd.DataFrame, objective: str, n: int) -> list[float]:
    """The differences at shared seeds."""
    at = rows[rows["latent_dim"] == n].set_index("seed")
    sides = [at.loc[at["objective"] == name, "test_elbo"] for name in (objective, BASELINE)]
    differences: list[float] = (sides[0] - sides[1]).dropna().astype(float).tolist()
    return differences
