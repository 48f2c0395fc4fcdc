"""Draws a registered figure into a tier's folder."""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module

import pandas as pd
from matplotlib import pyplot as plt

from vaebench.experiment.figures import FIGURES, runs_to_show
from vaebench.figures.style import Drawing, not_run, save, set_style
from vaebench.files import write_atomically
from vaebench.paths import FIGURE_FORMATS
from vaebench.provenance.stages import figure_digest
from vaebench.results.read import Results, Selection


def draw_figure(results: Results, name: str) -> None:
    """Draw a figure in every format, and write its caption to a file.

    Raises:
        UserError: there is no such figure, or the tier has none of the runs that it needs.
    """
    shown = shown_by(results, name)
    set_style()
    if shown and all(each.runs.empty for each in shown):
        drawing: Drawing = not_run(results.runs.iloc[:0])
    else:
        own = FIGURES[name].draw
        draw = own or import_module(f"vaebench.figures.{name}").draw
        drawing = draw(results, *shown)
    if lacking := lacking_text(shown):
        drawing = replace(drawing, caption=f"{drawing.caption} Not run: {lacking}.")
    metadata = {
        "Title": f"{name}: {drawing.title or FIGURES[name].title}",
        "Description": drawing.caption,
        "Runs": " ".join(sorted(drawing.shown["run_hash"])),
        "Records": " ".join(sorted(drawing.shown["metrics_digest"])),
        "Arrays": " ".join(sorted(drawing.shown["arrays_digest"])),
        "Code": figure_digest(name),
    }
    for extension in FIGURE_FORMATS:
        path = results.layout.figure(name, extension)
        write_atomically(path, save(drawing.figure, extension, metadata))
    write_atomically(results.layout.caption(name), f"{drawing.caption}\n".encode())
    plt.close(drawing.figure)


def shown_by(results: Results, name: str) -> list[Selection]:
    """The runs that a figure shows of a tier, for each of its needs. Some may be empty.

    Raises:
        UserError: there is no such figure, or the tier has none of the runs that it needs.
    """
    found = runs_to_show(name, results.tier.experiments)
    return [results.selection(each) for each in found]


def lacking_text(shown: Sequence[Selection]) -> str:
    """How many of the planned runs of each experiment are not trained. Empty if all are."""
    texts = []
    for name in dict.fromkeys(each.experiment for each in shown if each.experiment):
        own = [each for each in shown if each.experiment == name]
        # Two parts of a figure may show the same runs.
        planned = len(pd.concat([each.planned for each in own]).drop_duplicates())
        there = len(pd.concat([each.runs for each in own]).drop_duplicates("folder"))
        if there < planned:
            texts.append(f"{planned - there} of {planned} runs of {name}")
    return ", ".join(texts)
