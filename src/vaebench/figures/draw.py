"""Draws a registered figure into a tier's folder."""

from dataclasses import replace
from importlib import import_module

import pandas as pd
from matplotlib import pyplot as plt

from vaebench.errors import UserError
from vaebench.experiment.figures import FIGURES
from vaebench.figures.style import Drawing, not_run, save, set_style
from vaebench.files import write_atomically
from vaebench.paths import FIGURE_FORMATS
from vaebench.provenance.stages import figure_digest
from vaebench.results.read import Results


def draw_figure(results: Results, name: str) -> None:
    """Draw a figure in every format, and write its caption to a file.

    Raises:
        UserError: there is no such figure, or the tier lacks an experiment that it shows.
    """
    if name not in FIGURES:
        raise UserError(f"there is no figure '{name}'; there are: {', '.join(FIGURES)}")
    known = {experiment.name for experiment in results.tier.experiments}
    for experiment in FIGURES[name].shows:
        if experiment not in known:
            raise UserError(f"{name} shows '{experiment}', which the tier does not have")
    set_style()
    spec = FIGURES[name]
    there = [results.of(experiment, **spec.needs) for experiment in spec.shows]
    lacking = [
        f"{len(planned) - len(runs)} of {len(planned)} runs of {experiment}"
        for experiment, runs in zip(spec.shows, there, strict=True)
        if len(runs) < len(planned := results.planned(experiment, **spec.needs))
    ]
    if there and all(runs.empty for runs in there):
        drawing: Drawing = not_run(pd.concat(there))
    else:
        drawing = import_module(f"vaebench.figures.{name}").draw(results)
    if lacking:
        drawing = replace(drawing, caption=f"{drawing.caption} Not run: {', '.join(lacking)}.")
    metadata = {
        "Title": f"{name}: {FIGURES[name].title}",
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
