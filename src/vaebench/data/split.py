"""Splits images into those for training and those for testing, by a seed."""

import numpy as np
from numpy.typing import NDArray

from vaebench.errors import UserError

Rows = NDArray[np.int64]


def mixed(count: int, seed: int) -> Rows:
    """The numbers 0 to `count` - 1 in the order of a seed."""
    return np.random.Generator(np.random.PCG64(seed)).permutation(count)


def split(count: int, test_share: float, seed: int, place: str) -> tuple[Rows, Rows]:
    """The rows of the training images and of the test images, mixed by the seed.

    They depend on the arguments only, and not on the images.

    Args:
        count: the number of images.
        test_share: the share of them that is for testing. At least one is.
        seed: the seed of the split.
        place: the source of the images, for the error message.

    Raises:
        UserError: no image would be left for training, or there are none at all.
    """
    tests = max(1, round(count * test_share))
    if tests >= count:
        raise UserError(
            f"{place} has {count} images, and a test_share of {test_share} leaves none for "
            "training: give more images, or a smaller share"
        )
    rows = mixed(count, seed)
    return rows[tests:], rows[:tests]
