"""Methods by evidence, in the order of their ranking, beside their bounds."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from vaebench.figures.methods import methods
from vaebench.figures.style import PALETTE, Drawing, listed, runs_text, write_in
from vaebench.results.intervals import estimate
from vaebench.results.known_evidence import MOST_ERROR, by_seed, known_evidence
from vaebench.results.ranking import Place, ranking
from vaebench.results.read import Results, Selection

SHOWN = (("evidence_mean", "o", "log p(x)"), ("evidence_elbo", "s", "bound of the same images"))
COLUMN = "evidence_mean"


def draw(results: Results, *shown: Selection) -> Drawing:  # noqa: ARG001 - all figures take it
    """A panel for each experiment."""
    selections = list({each.experiment: each for each in shown if each.experiment}.values())
    figure, axes = plt.subplots(
        *(1, len(selections)),
        figsize=(5.4 * len(selections), 0.6 + 0.32 * max(len(methods(s)) for s in selections)),
        layout="constrained",
        squeeze=False,
    )
    found = [_panel(ax, each) for ax, each in zip(axes[0], selections, strict=True)]
    rows = pd.concat(found)
    axes[0, 0].legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    if rows.empty:
        caption = (
            "The evidence is not measured on these runs: give the experiment `evidence: true`."
        )
        return Drawing(figure, caption, rows)
    images = listed([f"{int(n):,}" for n in sorted(rows["evidence_images"].dropna().unique())])
    texts = listed([runs_text(own) for own in found if not own.empty])
    caption = (
        f"The mean log evidence of the first {images} test images by method, and the bound that "
        "each run has on them. Small: seeds; large: their mean with its 95% interval. At the "
        "right, the ranks that a method can have by the evidence, and letters: methods that share "
        "one cannot be told apart, as no paired t-test over seeds says at 5% that one of them is "
        "better, corrected by Holm for the number of pairs. A method has no rank if a run "
        f"diverged, or if its evidence is not known within {MOST_ERROR:g} nat. Shown: {texts}."
    )
    return Drawing(figure, caption, rows)


def _panel(ax: Axes, shown: Selection) -> pd.DataFrame:
    """Draw a ranking; returns the runs that it is of."""
    rows = shown.runs.iloc[:0]
    if COLUMN in shown.runs:
        # A method with a diverged run has no rank, so that its other seeds do not hide it.
        rows = shown.runs[shown.runs[COLUMN].notna() | (shown.runs["status"] == "diverged")]
    dataset = ", ".join(dict.fromkeys(shown.planned["dataset"]))
    ax.set(title=dataset)
    if rows.empty:
        write_in(ax, "not measured")
        ax.set_axis_off()
        return rows
    own = {method.name: method.of(rows) for method in methods(shown)}
    places = ranking({name: by_seed(each) for name, each in own.items() if not each.empty})
    for k, place in enumerate(places):
        _line(ax, k, place, own[place.method])
    _show_ranked(ax, [own[place.method] for place in places if place.rank])
    for k, place in enumerate(places):
        _say_outside(ax, k, own[place.method]["evidence_elbo"].mean())
    ax.set(
        yticks=range(len(places)),
        yticklabels=[place.method for place in places],
        ylim=(len(places) - 0.5, -0.5),
        xlabel="nats per image",
    )
    return rows


def _line(ax: Axes, k: int, place: Place, rows: pd.DataFrame) -> None:
    for j, (column, marker, text) in enumerate(SHOWN):
        known = known_evidence(rows, column) if column == COLUMN else rows[column]
        values = known.to_numpy(dtype=float)
        y = np.full(len(values), k + 0.12 * (2 * j - 1))
        label = text if k == 0 else None
        ax.scatter(values, y, marker=marker, s=8, color=PALETTE[j], alpha=0.5, linewidths=0)
        mean = estimate(values.tolist())
        half = 0 if np.isnan(mean.low) else mean.high - mean.mean
        ax.errorbar(
            mean.mean, y[0], xerr=half, fmt=marker, markersize=4, color=PALETTE[j], capsize=2,
            label=label,
        )  # fmt: skip
    ax.annotate(
        f"{place.rank.replace('-', '–')} {place.letters}".strip() or "no rank", (1.01, k),
        xycoords=("axes fraction", "data"),
        va="center", fontsize="small",
    )  # fmt: skip


def _show_ranked(ax: Axes, ranked: list[pd.DataFrame]) -> None:
    """Let the axis have the range of the methods with a rank, so that others do not narrow it."""
    if ranked:
        values = pd.concat([rows[[column for column, *_ in SHOWN]] for rows in ranked])
        low, high = values.min().min(), values.max().max()
        ax.set_xlim(low - 0.12 * (high - low), high + 0.12 * (high - low))


def _say_outside(ax: Axes, k: int, bound: float) -> None:
    """Write a bound that the axis does not have."""
    low, high = ax.get_xlim()
    if bound < low or bound > high:
        ax.annotate(
            f"bound {bound:.0f}".replace("-", "−"), (0.02, k),
            xycoords=("axes fraction", "data"),
            va="center", fontsize="small", color=PALETTE[1],
        )  # fmt: skip
