"""Functions that all figures share: colours, names, panels and saving."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vaebench.experiment.settings import AxisValue, format_value
from vaebench.results.read import ranges, training_text

DPI = 120
NAMED_RUNS = 4
"""The largest number of diverged runs that a caption names."""
LABEL_COLOURS = sns.color_palette("tab10", 10)
PALETTE = sns.color_palette("colorblind", 10)
OBJECTIVE_COLOURS = dict(zip(("learned", "constant", "bilbo"), PALETTE, strict=False))
"""The colours of the paper's objectives, the same in every figure."""
OBJECTIVE_NAMES = {
    "learned": "Learned Σ",
    "constant": "Constant Σ",
    "bilbo": "BILBO",
}


@dataclass(frozen=True)
class Drawing:
    """A figure and the caption that says which runs it shows."""

    figure: Figure
    caption: str
    shown: pd.DataFrame
    """The rows of the collected table that the figure was drawn from."""
    title: str = ""
    """What is shown; the title of the registry if it is empty."""


def set_style() -> None:
    """Apply settings with which the bytes of a figure depend only on its content.

    A user's matplotlibrc and MPLBACKEND do not count.
    """
    matplotlib.use("agg")
    matplotlib.rcdefaults()
    sns.set_theme(context="paper", style="ticks", font="DejaVu Sans")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "vaebench", "svg.fonttype": "path", "savefig.dpi": DPI, "figure.dpi": DPI}
    )


def not_run(nothing: pd.DataFrame) -> Drawing:
    """A placeholder for a figure of which no run is trained.

    Args:
        nothing: an empty table with the columns of the collected table.
    """
    figure = Figure(figsize=(4, 1.2))
    ax = figure.subplots()
    ax.set_axis_off()
    write_in(ax, "not run")
    return Drawing(figure, "Nothing to show yet.", nothing)


def write_in(ax: Axes, text: str) -> None:
    """Write a text in the middle of a panel that has nothing to show."""
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)


def objective_name(objective: str) -> str:
    """The name of an objective in figures. One that is not the paper's is called as in configs."""
    return OBJECTIVE_NAMES.get(objective, objective)


def objective_colours(objectives: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """A colour for each objective: the paper's have their own, the others the next free ones."""
    others = [name for name in dict.fromkeys(objectives) if name not in OBJECTIVE_COLOURS]
    free = cycle(PALETTE[len(OBJECTIVE_COLOURS) :])
    return OBJECTIVE_COLOURS | dict(zip(others, free, strict=False))


def number_word(count: int) -> str:
    """A small number as a word, such as `Three`; digits from ten on."""
    words = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
    return words[count] if count < len(words) else str(count)


def listed(texts: Sequence[str]) -> str:
    """Texts with commas and an `and` before the last: `a, b and c`."""
    return f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 else "".join(texts)


def bound_text(row: Mapping[str, Any] | pd.Series) -> str:
    """The final test bound of a run on the unscaled data, as text for a title."""
    if row["status"] == "diverged":
        return f"diverged at step {row['diverged_step']:.0f}"
    return f"test bound {row['test_elbo_data_units']:.1f} nats".replace("-", "−")


def runs_text(rows: pd.DataFrame) -> str:
    """A description of runs for a caption: dataset, likelihood, n, epochs and seeds."""
    first = rows.iloc[0]
    dims = "/".join(format_value(int(n)) for n in sorted(rows["latent_dim"].unique()))
    seeds = sorted(int(seed) for seed in rows["seed"].unique())
    which = f"seed{'s' if len(seeds) > 1 else ''} {ranges(seeds)}"
    length = training_text(rows)
    likelihoods = "/".join(rows["likelihood"].unique())
    text = f"{first['dataset']}, {likelihoods} likelihood, n = {dims}, {length}, {which}"
    diverged = rows[rows["status"] == "diverged"]
    if diverged.empty:
        return text
    columns = (diverged[name] for name in ("objective", "latent_dim", "seed"))
    named = [f"{o} n = {n} seed {seed}" for o, n, seed in zip(*columns, strict=True)]
    more = f" and {len(named) - NAMED_RUNS} more" if len(named) > NAMED_RUNS else ""
    return f"{text}; diverged: {', '.join(named[:NAMED_RUNS])}{more}"


SETTING_SYMBOLS = {"data_scale": "λ", "latent_scale": "c", "posterior_std": "σ", "tau": "τ"}


def setting_text(name: str, value: AxisValue) -> str:
    """A setting with the paper's symbol, such as `λ = 0.1`, or else with its own name."""
    shown = format_value(value if isinstance(value, str) else float(value))
    return f"{SETTING_SYMBOLS.get(name, name)} = {shown}"


def show_settled(axes: Sequence[Axes]) -> None:
    """Limit the shared vertical axis of `axes` to the values of curves after the first epochs.

    In the first twentieth of training, bounds rise from very low values, so these are ignored. Of
    the remaining values, the lowest twentieth is ignored too, since a failed run stays very low.
    """
    values: list[float] = []
    for line in [line for ax in axes for line in ax.lines]:
        x, y = (np.asarray(part, dtype=float) for part in line.get_data())
        values += y[np.isfinite(y) & (x >= 0.05 * x.max(initial=0))].tolist()
    if values:
        low, high = np.quantile(values, 0.05), max(values)
        span = max(high - low, 1e-9)
        axes[0].set_ylim(low - 0.05 * span, high + 0.1 * span)


def scatter_by_label(ax: Axes, codes: NDArray[Any], labels: NDArray[Any]) -> None:
    """Draw two-dimensional codes [N, 2], coloured by label [N], with equal units on both axes.

    Points are drawn in the order of the dataset, which mixes the labels. They are stored as pixels
    also in vector formats.
    """
    finite = np.isfinite(codes).all(1)
    x, y = codes[finite].astype(float).T
    size = np.clip(200 / np.sqrt(len(codes)), 1.5, 10)
    ax.scatter(
        x,
        y,
        c=np.asarray(LABEL_COLOURS)[labels[finite] % len(LABEL_COLOURS)],
        s=size,
        alpha=0.7,
        linewidths=0,
        rasterized=True,
    )
    ax.set_aspect("equal", adjustable="datalim")
    ax.locator_params(nbins=4)  # Tick labels are long if the codes are collapsed.
    sns.despine(ax=ax)


def label_legend(figure: Figure, labels: NDArray[Any]) -> None:
    """Add a legend of the labels' colours to the right of a figure with constrained layout.

    With more labels than colours, a colour stands for every label with the same remainder.
    """
    count = len(LABEL_COLOURS)
    found = np.unique(labels % count)
    more = "" if labels.max(initial=0) < count else ", …"
    handles = [
        Line2D([], [], linestyle="", marker="o", color=LABEL_COLOURS[k], label=f"{k}{more}")
        for k in found
    ]
    figure.legend(handles=handles, title="label", loc="outside right center", frameon=False)


def image_grid(images: NDArray[Any], columns: int) -> NDArray[Any]:
    """Arrange images [N, height, width(, colour)] in a grid, row by row, as one image."""
    rows = len(images) // columns
    height, width, *colours = images.shape[1:]
    tiled = images[: rows * columns].reshape(rows, columns, height, width, *colours)
    return tiled.swapaxes(1, 2).reshape(rows * height, columns * width, *colours)


def show_image(ax: Axes, image: NDArray[Any]) -> None:
    """Show an image without axes. Grey images are inverted, so that ink is dark on white."""
    # Colour images ignore the colour map.
    ax.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="none")
    ax.set_xticks([])
    ax.set_yticks([])


def save(figure: Figure, extension: str, metadata: Mapping[str, str]) -> bytes:
    """The content of a file with the figure and `metadata`, without a date."""
    buffer = io.BytesIO()
    if extension == "png":
        figure.savefig(buffer, format="png")
        return _compact_png(buffer.getvalue(), metadata)
    # PNG metadata may have any keys, but SVG only those of Dublin Core. So all metadata go into the
    # description.
    text = "\n".join(f"{key}: {value}" for key, value in metadata.items())
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Description": text})
    return re.sub(rb"(?<=data:image/png;base64,)[^\"]+", _compact_embedded, buffer.getvalue())


def _compact_embedded(match: re.Match[bytes]) -> bytes:
    # The embedded data have line breaks. Both base64 decoding and readers of SVG ignore them.
    return base64.b64encode(_compact_png(base64.b64decode(match[0]), {}))


def _compact_png(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """A PNG with 256 greys or colours and these text chunks. It has a third of the bytes."""
    texts = PngInfo()
    for key, value in metadata.items():
        texts.add_itxt(key, value)
    out = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        _with_few_colours(image.convert("RGBA")).save(out, "png", optimize=True, pnginfo=texts)
    return out.getvalue()


def _with_few_colours(image: Image.Image) -> Image.Image:
    red, green, blue, alpha = (np.asarray(band) for band in image.split())
    if alpha.min() < 255:
        # Only this method of Pillow keeps transparency. It gives few greys, so it is not used for
        # opaque images.
        return image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return image.convert("L")
    return image.convert("RGB").quantize(256, dither=Image.Dither.NONE)


def first_seeds(rows: pd.DataFrame, count: int = 1) -> pd.DataFrame:
    """The rows with the `count` smallest seeds, or with all if there are fewer."""
    return rows[rows["seed"].isin(sorted(rows["seed"].unique())[:count])]
