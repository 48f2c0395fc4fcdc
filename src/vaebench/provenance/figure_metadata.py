"""The metadata in a figure's file: the runs and the code that it was made from."""

import io
import re
from html import unescape
from pathlib import Path

from vaebench.errors import UserError
from vaebench.files import read_content
from vaebench.reading.parsing import parsing

KEYS = ("Title", "Description", "Runs", "Records", "Arrays", "Code")
LARGEST = 256 * 1024**2
"""The most bytes of a figure's file."""
AGAIN = "draw the figure again"


def figure_metadata(path: Path) -> dict[str, str]:
    """Read the metadata that `draw_figure` wrote into a PNG or an SVG.

    Raises:
        UserError: the file is missing, or is not a figure of this project.
    """
    if not path.exists():
        raise UserError(f"{path}: missing")
    found = _of_png(path) if path.suffix == ".png" else _of_svg(path)
    if not set(KEYS) <= set(found):
        raise UserError(f"{path}: does not say what it was drawn from")
    return {key: found[key] for key in KEYS}


def _of_png(path: Path) -> dict[str, str]:
    from PIL import Image

    content = read_content(path, AGAIN, LARGEST)
    with (
        parsing(path, "a PNG image", AGAIN),
        Image.open(io.BytesIO(content), formats=("PNG",)) as image,
    ):
        return {str(k): str(v) for k, v in image.info.items()}


def _of_svg(path: Path) -> dict[str, str]:
    text = read_content(path, AGAIN, LARGEST).decode("utf-8", errors="replace")
    match = re.search(r"<dc:description>(.*?)</dc:description>", text, re.DOTALL)
    lines = unescape(match[1]).splitlines() if match else []
    return {key: value for key, _, value in (line.partition(": ") for line in lines)}
