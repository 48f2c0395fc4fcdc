"""Drawing a registered figure into a tier's folder."""

from importlib import import_module

from matplotlib import pyplot as plt

from vaebench.errors import UserError
from vaebench.figures import FIGURES
from vaebench.figures.style import Drawing, save, set_style
from vaebench.files import write_atomically
from vaebench.layout import FIGURE_FORMATS
from vaebench.results import Results
from vaebench.sources import figure_digest


def draw_figure(results: Results, name: str) -> None:
    """Draw a figure in every format, with its caption beside it.

    Raises:
        UserError: there is no such figure, or the tier has no runs for it.
    """
    if name not in FIGURES:
        raise UserError(f"there is no figure '{name}'; there are: {', '.join(FIGURES)}")
    for experiment in FIGURES[name].shows:
        if results.of(experiment).empty:
            raise UserError(f"{name} shows '{experiment}', which the tier has no runs of")
    set_style()
    drawing: Drawing = import_module(f"vaebench.figures.{name}").draw(results)
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
