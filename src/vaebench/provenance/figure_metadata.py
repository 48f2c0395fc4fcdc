"""The metadata in a figure's file: the runs and the code that it was made from."""

import re
from html import unescape
from pathlib import Path

from vaebench.errors import UserError

KEYS = ("Title", "Description", "Runs", "Records", "Arrays", "Code")


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
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return {str(k): str(v) for k, v in image.info.items()}
    except (UnidentifiedImageError, OSError):
        raise UserError(f"{path}: not a PNG image") from None


def _of_svg(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    match = re.search(r"<dc:description>(.*?)</dc:description>", text, re.DOTALL)
    lines = unescape(match[1]).splitlines() if match else []
    return {key: value for key, _, value in (line.partition(": ") for line in lines)}
