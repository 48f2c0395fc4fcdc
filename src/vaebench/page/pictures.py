"""Images inside the page, and inside the files beside it, as data URIs."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY = 75
"""Of lossy images, as WebP counts it."""


def data_uri(image: Image.Image, lossless: bool) -> str:
    """An image as WebP. Equal images give equal texts."""
    buffer = io.BytesIO()
    # Lossless, quality is the effort. More of it takes minutes for a hundredth of the bytes.
    options: dict[str, Any] = (
        {"lossless": True, "quality": 50} if lossless else {"quality": QUALITY}
    )
    image.save(buffer, "webp", method=4, **options)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def smallest_uri(image: Image.Image) -> str:
    """The smaller one of the lossless and the lossy image: of lines often the first."""
    return min((data_uri(image, lossless) for lossless in (True, False)), key=len)


def sheet(images: NDArray[np.uint8], columns: int) -> Image.Image:
    """Images [N, height, width(, colour)] in a grid, row by row; the last row may be shorter.

    Grey images are inverted, so that ink is dark on white, as in the figures.
    """
    rows = -(-len(images) // columns)
    _, height, width, *colours = images.shape
    is_grey = not colours
    filled = np.zeros((rows * columns, height, width, *colours), np.uint8)
    filled[: len(images)] = images
    tiled = filled.reshape(rows, columns, height, width, *colours).swapaxes(1, 2)
    pixels = tiled.reshape(rows * height, columns * width, *colours)
    return Image.fromarray(255 - pixels if is_grey else pixels)
