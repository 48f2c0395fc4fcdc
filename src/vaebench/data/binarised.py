"""MNIST and Fashion-MNIST with black and white pixels only, drawn once.

A pixel is white with the probability of its grey value, as in Salakhutdinov and Murray (2008). With
a Bernoulli likelihood, the bound of such images is one of a log-likelihood. That of grey images is
not, since a Bernoulli distribution gives grey values no probability.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from vaebench.data import idx
from vaebench.data.prepared import Arrays, Bytes

DYNAMIC = "-dynamic"
"""The end of the name of a dataset whose training images stay grey: training draws them anew in
each batch."""


def prepare(name: str, raw: Path, mirrors: list[str]) -> Arrays:
    """Draw the images from grey ones, whose raw files are shared with the dataset of these.

    `binarized-mnist` is of `mnist`, and `binarized-fashion-mnist-dynamic` of `fashion-mnist`. The
    test images of `binarized-mnist` and `binarized-mnist-dynamic` are the same.

    Raises:
        UserError: an archive of grey images is missing everywhere, or is not the published one.
    """
    drawn = name.removesuffix(DYNAMIC)
    source = drawn.removeprefix("binarized-")
    grey = idx.prepare(source, raw.parent / source, mirrors)
    arrays = replace(grey, test_images=binarise(grey.test_images, f"{drawn}/test_images"))
    if name != drawn:
        return arrays
    return replace(arrays, train_images=binarise(grey.train_images, f"{drawn}/train_images"))


def binarise(images: Bytes, stream: str) -> Bytes:
    """Draw each pixel as 255 with the probability grey / 255, and else as 0.

    Args:
        images: grey values, uint8 of any shape.
        stream: the name of the random stream.
    """
    return np.where(_below_255(stream, images.size).reshape(images.shape) < images, 255, 0).astype(
        np.uint8
    )


def _below_255(stream: str, count: int) -> Bytes:
    """Independent numbers from 0 to 254, all equally probable.

    They are the bytes of SHAKE-256 of the stream's name without the value 255. So they are the same
    on every machine and with every version of numpy.
    """
    # One of 256 bytes is left out. Twice as many are drawn in addition, and a few for small counts.
    content = hashlib.shake_256(stream.encode()).digest(count + count // 128 + 100)
    values = np.frombuffer(content, np.uint8)
    kept: Bytes = values[values < 255][:count]
    return kept
