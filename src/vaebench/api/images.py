"""Checks and converts what a user gives: images, codes and counts."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaebench.errors import UserError

Floats = NDArray[np.float32]


def to_array(values: ArrayLike) -> NDArray[Any]:
    """A numpy array of what is an array, a torch tensor on any device, or a nested list."""
    detach = getattr(values, "detach", None)
    return np.asarray(values if detach is None else detach().cpu().numpy())


def as_pixels(images: ArrayLike, image_shape: tuple[int, ...]) -> Floats:
    """Pixels in [0, 1], float32 of shape [N, pixel], from images of any accepted form.

    Args:
        images: uint8 levels 0..255, or floats in [0, 1]. Shape [N, *image_shape], [N, pixel], or
            for one image `image_shape` or [pixel].
        image_shape: [height, width] or [height, width, colour].

    Raises:
        UserError: the shape, the type or the range is another one.
    """
    array, size = to_array(images), prod(image_shape)
    if array.shape in (image_shape, (size,)):
        array = array[None]
    if array.shape[1:] not in (image_shape, (size,)) or not len(array):
        raise UserError(
            f"images: found the shape {list(array.shape)}; this run takes "
            f"[N, {', '.join(map(str, image_shape))}] or [N, {size}], with N from 1, or one image"
        )
    flat = array.reshape(len(array), size)
    if flat.dtype == np.uint8:
        return flat.astype(np.float32) / np.float32(255)
    if not np.issubdtype(flat.dtype, np.floating):
        raise UserError(
            f"images: found the type {flat.dtype}; give uint8 levels 0..255, or floats in [0, 1]"
        )
    low, high = float(flat.min()), float(flat.max())
    if not (low >= 0 and high <= 1):  # Also where one is NaN.
        raise UserError(
            f"images: found floats from {low:g} to {high:g}; give floats in [0, 1], or uint8 "
            "levels 0..255"
        )
    return flat.astype(np.float32)


def as_codes(z: ArrayLike, latent_dim: int) -> Floats:
    """Codes as float32 of shape [N, latent], from codes of that shape or one of shape [latent].

    Raises:
        UserError: the shape is another one, or a number is not finite.
    """
    array = to_array(z)
    if array.shape == (latent_dim,):
        array = array[None]
    if array.ndim != 2 or array.shape[1] != latent_dim or not len(array):
        raise UserError(
            f"z: found the shape {list(array.shape)}; this run takes [N, {latent_dim}], with N "
            f"from 1, or [{latent_dim}]"
        )
    if not (np.issubdtype(array.dtype, np.number) and np.isfinite(array).all()):
        raise UserError(f"z: found {array.dtype} that are not all finite; give finite numbers")
    return array.astype(np.float32)


def check_count(name: str, count: int, least: int) -> None:
    """Check a number of images.

    Raises:
        UserError: it is below `least`.
    """
    if count < least:
        raise UserError(f"{name}: found {count}; give {least} or more")
