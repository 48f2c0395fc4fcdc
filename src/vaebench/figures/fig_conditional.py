"""The conditional log-likelihood of hidden pixels under each objective, by two kinds of draws."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaebench.figures.style import PALETTE, Drawing, objective_name, runs_text, write_in
from vaebench.results.intervals import estimate
from vaebench.results.read import Results, Selection

KINDS = (
    ("dependence_log_p_is", "o", "draws of the encoder"),
    ("dependence_log_p_mc", "s", "draws of the prior"),
)
PYRO = {"1-quadrant": (100.4, 71.8), "2-quadrants": (61.9, 51.0), "3-quadrants": (25.4, 24.2)}
"""Negative conditional log-likelihoods of MNIST that Pyro's tutorial on the CVAE prints: of a plain
network, and of a CVAE by draws of the prior, whose number it does not say."""


def draw(results: Results, *shown: Selection) -> Drawing:  # noqa: ARG001
    """A panel for each mask: nats by objective, with the 95% intervals over seeds."""
    there = [each for each in shown if not each.runs.empty and KINDS[0][0] in each.runs]
    if not there:
        return _nothing(shown)
    figure, axes = plt.subplots(
        1, len(there), figsize=(2.8 * len(there) + 3.4, 3.2), layout="constrained", squeeze=False
    )
    for ax, selection in zip(axes[0], there, strict=True):
        _panel(ax, selection.runs)
    axes[0, 0].set_ylabel("negative log p(y|x), nats per image")
    axes[0, -1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    rows = pd.concat([each.runs for each in there])
    published = " Lines: what Pyro's tutorial prints." if _is_published(rows) else ""
    caption = (
        "The negative conditional log-likelihood of the hidden pixels, as the log of a mean over "
        "draws of z: weights of draws of the encoder's q (importance sampling), and p(y|x, z) of "
        "draws of the prior (Monte Carlo). Small: seeds; large: their mean with its 95% interval."
        f"{published} Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


def _panel(ax: Axes, rows: pd.DataFrame) -> None:
    objectives = list(dict.fromkeys(rows["objective"]))
    for place, objective in enumerate(objectives):
        own = rows[rows["objective"] == objective]
        for k, (column, marker, text) in enumerate(KINDS):
            values = -own[column].to_numpy(dtype=float)
            x = place + 0.24 * (k - 0.5)
            jitter = np.linspace(-0.06, 0.06, len(values))
            ax.scatter(x + jitter, values, marker=marker, s=10, color=PALETTE[k], alpha=0.5, lw=0)
            mean = estimate(values.tolist())
            half = 0 if np.isnan(mean.low) else mean.high - mean.mean
            label = text if place == 0 else None
            ax.errorbar(x, mean.mean, half, fmt=marker, color=PALETTE[k], capsize=3, label=label)
    mask = str(rows["observed"].iloc[0])
    if _is_published(rows) and mask in PYRO:
        for value, style, text in zip(PYRO[mask], ("--", ":"), ("plain", "CVAE"), strict=True):
            ax.axhline(value, color="0.4", linestyle=style, lw=1, label=f"Pyro, {text}")
    names = [objective_name(objective) for objective in objectives]
    ax.set(title=mask, xticks=range(len(names)), xticklabels=names)
    ax.tick_params(axis="x", labelsize=7, labelrotation=20)
    ax.set_xlim(-0.5, len(names) - 0.5)


def _is_published(rows: pd.DataFrame) -> bool:
    return set(rows["dataset"]) == {"mnist"} and set(rows["likelihood"]) == {"bernoulli"}


def _nothing(shown: tuple[Selection, ...]) -> Drawing:
    figure = Figure(figsize=(4, 1.2))
    ax: Axes = figure.subplots()
    ax.set_axis_off()
    write_in(ax, "not measured")
    caption = "This is not measured on these runs: give the experiment `dependence: true`."
    return Drawing(figure, caption, shown[0].runs.iloc[:0])
