"""The crop and the size of the CelebA experiments.

All arithmetic is on integers, so the bytes are the same on every machine.
"""

import numpy as np

from vaebench.data.prepared import Bytes

SIDE = 64
CROP, OF_WIDTH = 160, 178
"""The side of the centre crop is 160/178 of the image's width, for images of any resolution."""


def crop_side(height: int, width: int) -> int | None:
    """The side of the centre crop. None if the image is too small for it."""
    side = CROP * width // OF_WIDTH
    return side if SIDE <= side <= height else None


def crop_and_resize(image: Bytes, side: int) -> Bytes:
    """Crop the centre of an image [height, width, 3] to `side` pixels, and resize to [64, 64, 3].

    Interpolation is bilinear between the four nearest pixels, without antialiasing. The centres of
    pixels have half-integer coordinates.
    """
    height, width = image.shape[:2]
    top, left = (height - side) // 2, (width - side) // 2
    crop = image[top : top + side, left : left + side].astype(np.int32)
    unit = 2 * SIDE
    # In units of 1 / (2 SIDE) of a pixel, the i-th centre lies at (i + 1/2) side / SIDE - 1/2.
    place = (2 * np.arange(SIDE, dtype=np.int32) + 1) * side - SIDE
    before, weight = place // unit, place % unit
    after = np.minimum(before + 1, side - 1)
    down = weight[:, None, None]
    rows = (unit - down) * crop[before] + down * crop[after]
    across = weight[None, :, None]
    levels = (unit - across) * rows[:, before] + across * rows[:, after]
    return ((levels + unit**2 // 2) // unit**2).astype(np.uint8)
