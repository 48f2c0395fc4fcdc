"""Masks: which pixels of an image are observed, as a text that settings and paths can hold.

A mask is one or more areas, joined by `+`. An area is a quadrant or a half by name, or a rectangle
`ROWSxCOLUMNS`, each a number or a range that includes its ends: `14-27x0-13` are the rows 14 to 27
of the columns 0 to 13. A pixel of a colour image is observed in all its colours.

This module imports no torch, since settings are checked without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

QUADRANTS = {
    "1-quadrant": "bottom-left",
    "2-quadrants": "bottom-left+top-left",
    "3-quadrants": "bottom-left+top-left+top-right",
}
"""The masks of Sohn et al. (2015) in the order of Pyro's example."""
AREAS = (
    *("top-left", "top-right", "bottom-left", "bottom-right"),
    *("top", "bottom", "left", "right"),
)
RANGE = r"\d+(?:-\d+)?"
RECTANGLE = re.compile(rf"({RANGE})x({RANGE})")


def problem(mask: str) -> str | None:
    """What is wrong with the text of a mask, whatever the image. None if nothing is."""
    for area in QUADRANTS.get(mask, mask).split("+"):
        if area in AREAS:
            continue
        match = RECTANGLE.fullmatch(area)
        if match is None:
            return (
                f"should be one of {', '.join(QUADRANTS)}, or areas joined by '+', each one of "
                f"{', '.join(AREAS)} or a rectangle such as 14-27x0-13, rows x columns; "
                f"'{area}' is none"
            )
        for ends in match.groups():
            first, last = _range(ends)
            if last < first:
                return f"has the range {ends}, which ends before it begins"
    return None


def observed_pixels(mask: str, image_shape: Sequence[int]) -> list[int]:
    """The numbers of the observed pixels in a flat image, in ascending order.

    Args:
        mask: a text without a `problem`.
        image_shape: [height, width] or [height, width, colour].

    Raises:
        ValueError: an area is not within the image, or no pixel is left to be predicted.
    """
    height, width = image_shape[:2]
    colours = image_shape[2] if len(image_shape) == 3 else 1
    points: set[tuple[int, int]] = set()
    for area in QUADRANTS.get(mask, mask).split("+"):
        rows, columns = _area(area, height, width)
        if rows.stop > height or columns.stop > width:
            raise ValueError(f"'{area}' is not within images of {height}x{width} pixels")
        points |= {(row, column) for row in rows for column in columns}
    if len(points) == height * width:
        raise ValueError(f"'{mask}' leaves no pixel of {height}x{width} to be predicted")
    return sorted(
        (row * width + column) * colours + colour
        for row, column in points
        for colour in range(colours)
    )


def _area(area: str, height: int, width: int) -> tuple[range, range]:
    """The rows and columns of an area. The middle row or column of an odd side is on its end."""
    match = RECTANGLE.fullmatch(area)
    if match is not None:
        (top, bottom), (left, right) = (_range(ends) for ends in match.groups())
        return range(top, bottom + 1), range(left, right + 1)
    words = area.split("-")
    rows, columns = range(height), range(width)
    if "top" in words or "bottom" in words:
        rows = rows[: height // 2] if "top" in words else rows[height // 2 :]
    if "left" in words or "right" in words:
        columns = columns[: width // 2] if "left" in words else columns[width // 2 :]
    return rows, columns


def _range(ends: str) -> tuple[int, int]:
    first, _, last = ends.partition("-")
    return int(first), int(last or first)
