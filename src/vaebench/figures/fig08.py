"""Figure 8: the bound during training with a hard-coded scaling of the codes."""

import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from vaebench.figures.curves import band_text, draw_curve
from vaebench.figures.style import (
    Drawing,
    listed,
    not_run,
    objective_colours,
    runs_text,
    setting_text,
    show_settled,
    write_in,
)
from vaebench.results.ratio import with_ratio
from vaebench.results.read import Results, Selection, select

LEARNED = {"color": objective_colours(["learned"])["learned"], "linestyle": "--", "linewidth": 1.8}
"""The style of learned variances."""


def draw(results: Results, ratios: Selection, learned: Selection) -> Drawing:
    """A row for each n, a column for each factor c, and a curve for each std and for `learned`.

    Args:
        results: the tier's results.
        ratios: runs of BILBO with several stds at c = 1. A std at c is the run with std / c, see
            `results/ratio.py`; of stds that are rounded, the one within half a percent of it.
        learned: runs with learned variances at several c. The stds have the same values as c.
            Without these runs there is one column, c = 1, with all stds.
    """
    planned = [s.planned for s in (ratios, learned) if s.experiment]
    dims = sorted({int(n) for each in planned for n in each["latent_dim"]})
    known = sorted(ratios.planned["posterior_std"].unique()) if ratios.experiment else []
    scales = sorted(learned.planned["latent_scale"].unique()) if learned.experiment else [1.0]
    stds = scales if learned.experiment else known
    colours = dict(zip(stds, sns.color_palette("viridis", len(stds)), strict=True))
    figure, axes = plt.subplots(
        len(dims),
        len(scales),
        figsize=(2.5 * len(scales) + 1.2, 2.5 * len(dims) + 0.4),
        layout="constrained",
        squeeze=False,
        sharey="row",
        sharex="row",
    )
    used = []
    for line, n in zip(axes, dims, strict=True):
        for ax, scale in zip(line, scales, strict=True):
            ax.set_title(f"n = {n}, {setting_text('latent_scale', scale)}")
            curves = [
                (select(ratios.runs, latent_dim=n, posterior_std=ratio), std)
                for std in stds
                if (ratio := with_ratio(known, std, scale)) is not None
            ]
            own = select(learned.runs, latent_dim=n, latent_scale=scale)
            _panel(ax, results, [(rows, std, colours[std]) for rows, std in curves], own)
            used += [own, *(rows for rows, _ in curves)]
        show_settled(line.tolist())
        line[0].set_ylabel("test bound (nats)")
    handles = {
        label: handle
        for ax in axes.flat
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    order = [setting_text("posterior_std", std) for std in stds] + ["learned"]
    labels = [label for label in order if label in handles]
    figure.legend(
        [handles[label] for label in labels], labels, loc="outside right center", frameon=False
    )
    shown = pd.concat(used).drop_duplicates("run_hash")
    if shown.empty:  # what is trained has a ratio that no panel has
        return not_run(shown)
    absent = [
        f"{setting_text('posterior_std', std)} at {setting_text('latent_scale', scale)}"
        for std in stds
        for scale in scales
        if known and with_ratio(known, std, scale) is None
    ]
    caption = (
        f"Test bound during training, {band_text(shown)}, with a hard-coded factor c on the "
        f"encoder's output and 1/c on the decoder's input. {_names(ratios, learned)}"
        "All runs of a row have the same optimum. The vertical axis leaves out the first epochs; "
        "runs that diverged are left out of the means. The paper does not print its n, c and σ. "
        f"{f'No run has the ratio of {listed(absent)}. ' if absent else ''}"
        f"Shown: {runs_text(shown)}."
    )
    return Drawing(figure, caption, shown)


Curve = tuple[pd.DataFrame, float, tuple[float, ...]]
"""The runs of a curve, with the std that they stand for and its colour."""


def _panel(ax: Axes, results: Results, curves: list[Curve], learned: pd.DataFrame) -> None:
    ax.set_xlabel("epoch")
    for rows, std, colour in curves:
        style = {"color": colour, "linestyle": "-"}
        draw_curve(ax, results, rows, setting_text("posterior_std", std), style)
    draw_curve(ax, results, learned, "learned", LEARNED)
    if learned.empty and all(rows.empty for rows, _, _ in curves):
        write_in(ax, "not run")
    sns.despine(ax=ax)


def _names(ratios: Selection, learned: Selection) -> str:
    """What the names in the legend stand for, and what the figure can show of them."""
    texts = ["σ: BILBO with Σ = σ² I (Eq. 24)"] if ratios.experiment else []
    texts += ["learned: Eq. 1"] if learned.experiment else []
    if not ratios.experiment or not learned.experiment:
        return f"{'; '.join(texts)}. "
    return (
        f"{'; '.join(texts)}. With a constant Σ, the objective depends on σ and c through σ/c "
        "alone, so σ at c is the run with the std σ/c at c = 1 (within half a percent). "
        "That the best ratio is the same at every c holds by construction; that it is 1, so that σ "
        "matches c, is a finding. "
    )
