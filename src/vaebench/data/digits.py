"""Embedded data: the handwritten digits that scikit-learn ships, enlarged to 28x28."""

import numpy as np

from vaebench.data.prepared import Arrays, Bytes

TEST_IMAGES = 297


def prepare() -> Arrays:
    """All 1,797 digits, enlarged and split into 1,500 for training and 297 for testing.

    The images are permuted before the split, since the file groups the digits by writer. The
    permutation is fixed.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(digits.target))
    images = enlarge(digits.images[order].astype(np.int64))
    labels = digits.target[order].astype(np.uint8)
    return Arrays(
        images[TEST_IMAGES:], labels[TEST_IMAGES:], images[:TEST_IMAGES], labels[:TEST_IMAGES]
    )


def enlarge(images: np.ndarray) -> Bytes:
    """Convert grey values 0..16 of shape [N, 8, 8] to 0..255 of shape [N, 28, 28].

    Each pixel becomes 3x3 pixels by linear interpolation. A black frame of 2 pixels is added. All
    arithmetic is on integers, so the bytes are the same on every machine.
    """
    wide = _interpolate(_interpolate(images, axis=1), axis=2)
    # `wide` holds 9 times the grey value, at most 9 * 16.
    grey = (wide * 255 + 72) // 144
    return np.pad(grey, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)


def _interpolate(images: np.ndarray, axis: int) -> np.ndarray:
    """Three times the interpolated values at offsets -1/3, 0, 1/3 from the centre of each pixel."""
    padded = np.pad(images, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
    size = images.shape[axis]
    before, here, after = (np.take(padded, range(k, k + size), axis) for k in range(3))
    samples = np.stack([before + 2 * here, 3 * here, 2 * here + after], axis=axis + 1)
    shape = list(images.shape)
    shape[axis] *= 3
    return samples.reshape(shape)
