"""Bounds and spreads of the CelebA runs, without any image: what may be published of them."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from vaebench.figures.curves import band_text, draw_curve, draw_lead
from vaebench.figures.faces import NOTE
from vaebench.figures.methods import Method, methods
from vaebench.figures.style import PALETTE, Drawing, runs_text, show_settled, write_in
from vaebench.results.read import Results, Selection

SPREADS = {
    "reconstructions": ("o", "reconstructions"),
    "fitted": ("s", "samples, fitted prior"),
    "standard": ("^", "samples, N(0, I)"),
}
"""Marker and name of what a pixel varies over, by the name that the run's array has it under."""
OFFSET = 0.22
LINEAR = 160
"""Differences of bounds up to which the axis is linear, in nats: the margin of claims on comparable
bounds in `config/paper_values.yaml`."""
STANDARD = "learned"
FORMS = ("constant", "bilbo")
"""Objectives that are one in two forms. They share a colour if they share all settings."""


def draw(results: Results, shown: Selection) -> Drawing:
    """(a, b) held-out bound during training by method; (c) how much a pixel varies over images."""
    rows, compared = shown.runs, with_colours(methods(shown))
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    _progress(axes[0], results, rows, compared)
    _lead(axes[1], results, rows, compared)
    _spreads(axes[2], results, rows, compared)
    for ax, letter, text in (
        (axes[0], "a", "bound on held-out images"),
        (axes[1], "b", "minus that of the standard ELBO"),
        (axes[2], "c", "variance of a pixel"),
    ):
        ax.set_title(f"({letter}) {text}", loc="left")
        ax.spines[["top", "right"]].set_visible(False)
    stds = set(rows.get("posterior_std", ()))
    caption = (
        f"(a) Bound on the held-out images during training, {band_text(rows)}; larger is better. "
        "Dashed: the constant Σ of Eq. 2, which BILBO equals but for rounding, which training "
        "amplifies. The vertical axis leaves out the first steps. (b) The bound minus that of the "
        "standard ELBO (learned Σ) at the same seed. The vertical axis is linear between "
        f"−{LINEAR} and {LINEAR}, the margin within which bounds are called comparable (grey), and "
        "logarithmic beyond. (c) The variance of a pixel over images, averaged over the "
        "pixels, as a share of that over the held-out images themselves: over their "
        "reconstructions, over samples from the prior that fits the training set best (Eq. 4), "
        "and, for learned Σ, over samples from N(0, I). A point is a run. "
        f"{NOTE if {0.1, 0.01} <= stds else ''}Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


def with_colours(compared: Sequence[Method]) -> list[Method]:
    """The methods, with one colour for the two forms of an objective."""
    keys = []
    for method in compared:
        form = FORMS[0] if method.objective in FORMS else method.objective
        keys.append(tuple({**method.settings, "objective": form}.items()))
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    return [
        replace(method, colour=PALETTE[places[key] % len(PALETTE)])
        for method, key in zip(compared, keys, strict=True)
    ]


def _progress(ax: Axes, results: Results, rows: pd.DataFrame, compared: Sequence[Method]) -> None:
    for method in compared:
        line = "--" if method.objective == "constant" else "-"
        style = {"color": method.colour, "linestyle": line}
        draw_curve(ax, results, method.of(rows), method.name, style)
    ax.set_ylabel("bound (nats)")
    if not ax.lines:
        write_in(ax, "all runs diverged")
        return
    show_settled([ax])
    ax.legend(frameon=False, loc="lower right")


def _lead(ax: Axes, results: Results, rows: pd.DataFrame, compared: Sequence[Method]) -> None:
    standard = [method.of(rows) for method in compared if method.objective == STANDARD]
    for method in compared:
        if len(standard) == 1 and method.objective != STANDARD:
            line = "--" if method.objective == "constant" else "-"
            style = {"color": method.colour, "linestyle": line}
            draw_lead(ax, results, method.of(rows), standard[0], method.name, style)
    ax.set_ylabel("difference of bounds (nats)")
    if not ax.lines:
        some = "no run" if not standard else "several kinds of runs"
        write_in(ax, f"{some} of the standard ELBO\nto compare with")
        return
    ax.axhspan(-LINEAR, LINEAR, color="0.93", zorder=0)
    ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    ax.set_yscale("symlog", linthresh=LINEAR)


def _spreads(ax: Axes, results: Results, rows: pd.DataFrame, compared: Sequence[Method]) -> None:
    for place, method in enumerate(compared):
        runs = method.of(rows)
        # Constant variances are not trained with N(0, I).
        shown = [name for name in SPREADS if name != "standard" or method.objective == STANDARD]
        for _, run in runs[runs["status"] == "completed"].iterrows():
            arrays = results.arrays(run)
            of_images = float(arrays["variation_inputs"])
            for k, name in enumerate(shown):
                share = float(arrays[f"variation_{name}"]) / of_images
                marker, height = SPREADS[name][0], place + OFFSET * (k - 1)
                ax.plot(share, height, marker, color=PALETTE[k], markersize=5)
    for k, (marker, text) in enumerate(SPREADS.values()):
        ax.plot([], [], marker, color=PALETTE[k], markersize=5, label=text)
    ax.axvline(1, color="0.7", linewidth=0.8, zorder=0)
    ax.set(xlabel="share of that over the images", yticks=range(len(compared)))
    ax.set_yticklabels([method.name for method in compared])
    ax.set_xlim(left=0)
    ax.set_ylim(len(compared) - 0.5, -0.5)
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=len(SPREADS))
