"""Embedded data: simple drawn faces, which tests and the smoke tier use in place of CelebA.

They are colour images with a few varying properties: head, skin, background, light, eyes and mouth.
All arithmetic is on integers, so the bytes are the same on every machine.
"""

import numpy as np

from vaebench.data.prepared import Arrays, Bytes

SIDE = 32
TRAIN_IMAGES, TEST_IMAGES = 512, 64


def prepare() -> Arrays:
    """Draw 512 faces for training and 64 for testing. All labels are 0."""
    images = draw(TRAIN_IMAGES + TEST_IMAGES)
    labels = np.zeros(len(images), np.uint8)
    return Arrays(
        images[:TRAIN_IMAGES], labels[:TRAIN_IMAGES], images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:]
    )


def draw(count: int) -> Bytes:
    """Draw faces, uint8 of shape [count, 32, 32, 3]."""
    stream = np.random.Generator(np.random.PCG64(0))

    def choose(low: int, high: int, *size: int) -> np.ndarray:
        return stream.integers(low, high, (count, *size)).reshape(count, 1, 1, *(size or (1,)))

    y, x = (axis[None, :, :, None] for axis in np.mgrid[:SIDE, :SIDE])
    image = choose(20, 220, 3) + 0 * x
    centre_x, centre_y = choose(14, 19), choose(14, 19)
    wide, high = choose(8, 13), choose(10, 15)

    def ellipse(from_x: np.ndarray | int, from_y: np.ndarray | int,
                a: np.ndarray | int, b: np.ndarray | int) -> np.ndarray:  # fmt: skip
        away_x, away_y = x - centre_x - from_x, y - centre_y - from_y
        inside: np.ndarray = (away_x * b) ** 2 + (away_y * a) ** 2 <= (a * b) ** 2
        return inside

    brown = np.array([230, 180, 150])
    skin = brown * choose(50, 101) // 100
    light = (x - centre_x) * choose(-4, 5)
    image = np.where(ellipse(0, -4, wide + 2, high + 1), choose(10, 120, 3), image)
    image = np.where(ellipse(0, 0, wide, high), skin + light, image)
    apart = wide // 3 + 1
    for side in (-apart, apart):
        image = np.where(ellipse(side, -3, 2, 2), 240, image)
        image = np.where(ellipse(side, -3, 1, 1), 30, image)
    image = np.where(ellipse(0, high // 2, choose(2, 6), choose(1, 3)), [170, 50, 60], image)
    return image.clip(0, 255).astype(np.uint8)
