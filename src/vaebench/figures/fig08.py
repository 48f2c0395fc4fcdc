"""Figure 8: the bound during training with a hard-coded scaling of the codes."""

import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from vaebench.figures.curves import band_text, draw_curve
from vaebench.figures.methods import Method, methods
from vaebench.figures.style import (
    Drawing,
    listed,
    objective_colours,
    objective_name,
    runs_text,
    setting_text,
    show_settled,
    write_in,
)
from vaebench.results.read import Results, Selection, select

LINES = ("-", ":", "-.")


def draw(results: Results, shown: Selection) -> Drawing:
    """A row for each n, a column for each factor c, and a curve for each objective and std."""
    rows, planned = shown.runs, shown.planned
    dims = sorted(int(n) for n in planned["latent_dim"].unique())
    scales = sorted(planned["latent_scale"].unique())
    curves = _curves(methods(shown, without=["latent_scale"]))
    figure, axes = plt.subplots(
        len(dims),
        len(scales),
        figsize=(2.5 * len(scales) + 1.2, 2.5 * len(dims) + 0.4),
        layout="constrained",
        squeeze=False,
        sharey="row",
        sharex="row",
    )
    for line, n in zip(axes, dims, strict=True):
        for ax, scale in zip(line, scales, strict=True):
            here = select(rows, latent_dim=n, latent_scale=scale)
            ax.set_xlabel("epoch")
            _panel(ax, results, here, curves)
            ax.set_title(f"n = {n}, {setting_text('latent_scale', scale)}")
        show_settled(line.tolist())
        line[0].set_ylabel("test bound (nats)")
    handles = {
        label: handle
        for ax in axes.flat
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    labels = [label for _, label, _ in curves if label in handles]
    figure.legend(
        [handles[label] for label in labels], labels, loc="outside right center", frameon=False
    )
    caption = (
        f"Test bound during training, {band_text(rows)}, with a hard-coded factor c on the "
        f"encoder's output and 1/c on the decoder's input. {_names(curves)}"
        "All runs of a row have the same optimum. The vertical axis leaves out the first epochs; "
        "runs that diverged are left out of the means. The paper does not print its n, c and σ. "
        f"Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)


Curve = tuple[Method, str, dict[str, object]]


def _curves(compared: list[Method]) -> list[Curve]:
    """The methods with a label and a style. A std has its colour, those that learn it are last."""
    constant = [m for m in compared if m.settings.get("posterior_std") is not None]
    takers = list(dict.fromkeys(m.objective for m in constant))
    stds = sorted({m.settings["posterior_std"] for m in constant})
    colours = dict(zip(stds, sns.color_palette("viridis", len(stds)), strict=True))
    curves: list[Curve] = []
    for method in sorted(constant, key=lambda m: (takers.index(m.objective), _std(m))):
        label = setting_text("posterior_std", _std(method))
        if len(takers) > 1:
            label = f"{objective_name(method.objective)}, {label}"
        line = LINES[takers.index(method.objective) % len(LINES)]
        curves.append((method, label, {"color": colours[_std(method)], "linestyle": line}))
    for method in compared:
        if method not in constant:
            colour = objective_colours([method.objective])[method.objective]
            style = {"color": colour, "linestyle": "--", "linewidth": 1.8}
            curves.append((method, method.objective, style))
    return curves


def _std(method: Method) -> float:
    return float(method.settings["posterior_std"])


def _names(curves: list[Curve]) -> str:
    """What the names in the legend stand for."""
    takers = dict.fromkeys(m.objective for m, label, _ in curves if label != m.objective)
    equations = {"bilbo": "Eq. 24", "constant": "Eq. 2", "learned": "Eq. 1"}
    texts = []
    if takers:
        names = listed([objective_name(name) for name in takers])
        known = [equations[name] for name in takers if name in equations]
        texts.append(f"σ: {names} with Σ = σ² I{f' ({listed(known)})' if known else ''}")
    if any(label == "learned" for _, label, _ in curves):
        texts.append("learned: Eq. 1")
    return f"{'; '.join(texts)}. " if texts else ""


def _panel(ax: Axes, results: Results, rows: pd.DataFrame, curves: list[Curve]) -> None:
    if rows.empty:
        write_in(ax, "not run")
    for method, label, style in curves:
        draw_curve(ax, results, method.of(rows), label, style)
    sns.despine(ax=ax)
