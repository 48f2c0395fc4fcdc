"""The manifold of the closed-form decoder (Eq. 6) beside that of the network."""

from matplotlib import pyplot as plt

from vaebench.figures.measured import groups, measured, nothing_measured
from vaebench.figures.style import Drawing, first_seeds, image_grid, runs_text, show_image
from vaebench.results.equations import equation_arrays
from vaebench.results.read import Results, Selection

KINDS = (("network_manifold", "network"), ("closed_manifold", "closed form (Eq. 6)"))


def draw(results: Results, shown: Selection) -> Drawing:
    """A row for each objective, of the first seed."""
    rows = first_seeds(measured(results, shown))
    if rows.empty:
        return nothing_measured(shown)
    named = groups(rows)
    figure, axes = plt.subplots(
        *(len(named), 2), figsize=(7.6, 3.9 * len(named)), layout="constrained", squeeze=False
    )
    for place, (name, own) in zip(axes, named, strict=True):
        row = own.iloc[0]
        arrays = equation_arrays(results.layout, row)
        for ax, (key, text) in zip(place, KINDS, strict=True):
            ax.set_title(text)
            if key in arrays:
                show_image(ax, image_grid(arrays[key], round(len(arrays[key]) ** 0.5)))
            else:
                ax.set_axis_off()
        place[0].set_ylabel(name)
        gain = row["eq6_train_gain"], row["eq6_test_gain"]
        text = f"{gain[0]:+.1f} nats on training images, {gain[1]:+.1f} on test images"
        place[1].set_xlabel(text.replace("-", "−"))
    caption = (
        "The decoder over a grid of z at equal steps of the prior's cumulative probability: the "
        "network's mean (left), and the best decoder for the same encoder, the mean of all "
        "training images weighted by their posterior densities (right). Below: E log p(x|z) of "
        f"the closed form minus that of the network. Shown: {runs_text(rows)}."
    )
    return Drawing(figure, caption, rows)
