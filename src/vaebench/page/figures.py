"""The figures that a page shows, and what each was made from."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from vaebench.files import read_content
from vaebench.page.pictures import smallest_uri
from vaebench.page.runs import ShownRun
from vaebench.paths import VECTOR
from vaebench.provenance.figure_metadata import AGAIN, LARGEST, figure_metadata
from vaebench.reading.parsing import parsing
from vaebench.reporting.content import ShownFigure
from vaebench.results.read import Results


@dataclass(frozen=True)
class PageFigure:
    """A figure of the page."""

    shown: ShownFigure
    uri: str
    """The image itself, or its path from the page."""
    width: int
    height: int
    code: str
    """The digest of the code that drew it."""
    vector: bool
    """Whether its vector graphics lie beside the page. In a thin copy they do not."""
    runs: list[ShownRun]
    """Those that it shows."""


def figures_of_page(
    results: Results, figures: Sequence[ShownFigure], runs: Sequence[ShownRun]
) -> list[PageFigure]:
    """The figures, each with the runs that its file names.

    The page holds their images, so that it can be moved alone. In a thin copy, which has no vector
    graphics either, it refers to the PNG files instead: each image is there once.
    """
    found = []
    for figure in figures:
        path = results.layout.figure(figure.name, "png")
        metadata = figure_metadata(path)
        records = set(metadata["Records"].split())
        content = read_content(path, AGAIN, LARGEST)
        with parsing(path, "a PNG image", AGAIN):
            # Decoding compares no checksums.
            Image.open(io.BytesIO(content), formats=("PNG",)).verify()
            with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
                picture = image.convert("RGB")
        vector = results.layout.figure(figure.name, VECTOR).exists()
        found.append(
            PageFigure(
                shown=figure,
                uri=smallest_uri(picture) if vector else f"figures/{path.name}",
                width=picture.width,
                height=picture.height,
                code=metadata["Code"][:12],
                vector=vector,
                runs=list(
                    {
                        run.run_hash: run for run in reversed(runs) if run.metrics_digest in records
                    }.values()
                )[::-1],
            )
        )
    return found
