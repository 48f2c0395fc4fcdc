"""Figure 1: schematic of a variational auto-encoder. It shows no run."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Ellipse, FancyArrowPatch, Polygon

from vaebench.figures.style import Drawing
from vaebench.results.read import Results

DATA, LATENT = "#0173b2", "#de8f05"
MU, X, NU = (0.45, 0.35), (-0.5, 0.45), (-0.42, 0.3)


def draw(results: Results) -> Drawing:
    """Draw (a) the encoder, from data to latent space, and (b) the decoder, from latent to data."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    for ax, letter in ((left, "a"), (right, "b")):
        ax.set(xlim=(-2.6, 2.6), ylim=(-1.3, 1.5), aspect="equal")
        ax.set_title(f"({letter})", loc="left")
        ax.set_axis_off()
        _data_space(ax)
        ax.add_patch(Circle((1.4, 0), 1, fill=False, linestyle=":", color=LATENT))
        ax.text(1.4, -1.25, "latent space, prior", ha="center", color=LATENT)
    z = (1.4 + MU[0], MU[1])
    x, nu = (X[0] - 1.2, X[1] - 0.2), (NU[0] - 1.2, NU[1] - 0.2)
    _gaussian(left, z, (0.5, 0.3), LATENT, "$\\mu$", "$\\Sigma$")
    left.plot(*x, "o", color=DATA, markersize=5)
    left.text(x[0] - 0.08, x[1] + 0.1, "$x$", ha="right")
    _arrow(left, x, z, "encoder")
    _gaussian(right, nu, (0.45, 0.3), DATA, "$\\nu$", "$T$")
    right.plot(*z, "o", color=LATENT, markersize=5)
    right.text(z[0] + 0.1, z[1], "$z$", va="center")
    _arrow(right, z, nu, "decoder")
    caption = (
        "Schematic of a variational auto-encoder. (a) The encoder maps a data vector x to a "
        "posterior distribution in latent space (dashed) with mean μ and variance Σ. (b) The "
        "decoder maps a latent vector z to a likelihood function in data space (dashed) with mean "
        "ν and variance T. Dotted: the data distribution (left) and the prior (right). Drawn, "
        "not measured."
    )
    return Drawing(figure, caption, results.runs.iloc[:0])


def _data_space(ax: Axes) -> None:
    angle = np.linspace(0, 2 * np.pi, 200)
    radius = 0.95 + 0.18 * np.sin(3 * angle + 0.6) - 0.12 * np.cos(2 * angle)
    outline = np.stack([radius * np.cos(angle) - 1.4, 0.9 * radius * np.sin(angle)], 1)
    ax.add_patch(Polygon(outline, fill=False, linestyle=":", color=DATA))
    ax.text(-1.4, -1.25, "data space, data", ha="center", color=DATA)


def _gaussian(
    ax: Axes,
    centre: tuple[float, float],
    size: tuple[float, float],
    colour: str,
    mean: str,
    variance: str,
) -> None:
    ax.add_patch(Ellipse(centre, *size, angle=25, fill=False, linestyle="--", color=colour))
    ax.plot(*centre, "o", color=colour, markersize=4)
    ax.text(centre[0] + 0.03, centre[1] - 0.1, mean, ha="center", va="top")
    ax.text(centre[0] + 0.28, centre[1] - 0.12, variance)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], text: str) -> None:
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            connectionstyle="arc3,rad=-0.35" if start[0] < end[0] else "arc3,rad=0.35",
            arrowstyle="-|>",
            mutation_scale=12,
            shrinkA=6,
            shrinkB=14,
            color="0.3",
        )
    )
    ax.text(0.1, 1.2, text, ha="center", color="0.3")
