"""The evidence and the bound of each objective over seeds."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from vaebench.figures.measured import measured, nothing_measured
from vaebench.figures.style import PALETTE, Drawing, objective_name, runs_text
from vaebench.results.equations import equation_arrays
from vaebench.results.intervals import estimate
from vaebench.results.read import Results, Selection

KINDS = (("log_p", "o", "log p(x)"), ("elbo", "s", "bound"))
COLUMNS = {"log_p": "evidence_mean", "elbo": "evidence_elbo"}
"""Where the experiment measures the evidence, on more images than the equations."""


def draw(results: Results, shown: Selection) -> Drawing:
    """A panel for each number of latent dimensions."""
    rows = _known(results, shown)
    if rows.empty:
        return nothing_measured(shown)
    means = pd.DataFrame([_means(results, row) for _, row in rows.iterrows()], rows.index)
    table = pd.concat([rows, means], axis=1)
    dims = sorted(table["latent_dim"].unique())
    objectives = list(dict.fromkeys(table["objective"]))
    figure, axes = plt.subplots(
        *(1, len(dims)), figsize=(2.9 * len(dims) + 1.2, 3.2), layout="constrained", squeeze=False
    )
    for ax, n in zip(axes[0], dims, strict=True):
        for place, objective in enumerate(objectives):
            own = table[(table["latent_dim"] == n) & (table["objective"] == objective)]
            for k, (column, marker, text) in enumerate(KINDS):
                x, values = place + 0.22 * (k - 0.5), own[column].to_numpy()
                jitter = np.linspace(-0.05, 0.05, len(values))
                label = text if place == 0 else None
                ax.scatter(
                    x + jitter, values, marker=marker, s=10, color=PALETTE[k], alpha=0.5,
                    linewidths=0,
                )  # fmt: skip
                mean = estimate(values.tolist())
                half = 0 if np.isnan(mean.low) else mean.high - mean.mean
                ax.errorbar(
                    x, mean.mean, half, fmt=marker, color=PALETTE[k], capsize=3, label=label
                )
        names = [objective_name(objective) for objective in objectives]
        ax.set(title=f"n = {n}", xticks=range(len(names)), xticklabels=names)
        ax.set_xlim(-0.5, len(names) - 0.5)
    axes[0, 0].set_ylabel("nats per image")
    axes[0, -1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    caption = (
        f"The mean log evidence of the first {_images(table)} test images (exact where a grid is "
        "possible, by annealed importance sampling elsewhere), and the evidence lower bound of the "
        "same images. "
        "Small: seeds; large: their mean with its 95% interval. Under a Bernoulli likelihood of "
        "grey images, log p(x) is the log of the integral of exp(−cross entropy): comparable "
        f"between objectives, but no log-likelihood of grey values. Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


def _known(results: Results, shown: Selection) -> pd.DataFrame:
    """The runs whose evidence is measured, by itself or with the equations."""
    equations = measured(results, shown)["folder"]
    known = shown.runs["folder"].isin(equations)
    if COLUMNS["log_p"] in shown.runs:
        known |= shown.runs[COLUMNS["log_p"]].notna()
    return shown.runs[known]


def _means(results: Results, row: pd.Series) -> dict[str, float]:
    """The means over images of a run, and the number of images."""
    if pd.notna(row.get("evidence_mean")):
        found = {kind: float(row[column]) for kind, column in COLUMNS.items()}
        return found | {"images": float(row["evidence_images"])}
    arrays = equation_arrays(results.layout, row)
    found = {kind: float(arrays[kind].mean()) for kind in COLUMNS}
    return found | {"images": float(len(arrays["log_p"]))}


def _images(table: pd.DataFrame) -> str:
    return " or ".join(f"{int(count):,}" for count in sorted(table["images"].unique()))
