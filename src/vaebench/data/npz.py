"""Datasets from one .npz file of numpy."""

import contextlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import MAGIC_PREFIX
from numpy.typing import NDArray

from vaebench.data.prepared import Arrays, Bytes
from vaebench.data.split import split
from vaebench.errors import UserError
from vaebench.progress import log
from vaebench.reading.arrays import ArrayArchive, open_archive

LABELS = 256
"""Labels are below this number, since they are stored as uint8."""
KNOWN = {f"{part}{kind}" for part in ("", "train_", "test_") for kind in ("images", "labels")}
"""The names of arrays."""
LARGEST = 64 * 1024**3
"""The most bytes of all arrays of a file."""


def read_npz(path: Path, test_share: float, split_seed: int) -> Arrays:
    """The dataset of a file.

    The file has either `images` and maybe `labels`, which are split by a seed, or `train_images`,
    `test_images` and maybe `train_labels` and `test_labels`. Without labels, all labels are 0.

    Args:
        path: the file.
        test_share: the share of `images` that is for testing.
        split_seed: the seed of their split.

    Raises:
        UserError: the file is missing or damaged, or an array is missing or has values that cannot
            be taken. The text names the array, its type, shape or range.
    """
    with open_npz(path) as file:
        if split_by_file(path, file.names):
            parts = {}
            for part in ("train", "test"):
                images = _images(path, file, f"{part}_images")
                parts[f"{part}_images"] = images
                parts[f"{part}_labels"] = _labels(path, file, f"{part}_labels", len(images))
            shapes = [parts[f"{part}_images"].shape[1:] for part in ("train", "test")]
            if shapes[0] != shapes[1]:
                raise UserError(
                    f"{path}: images of train_images are {list(shapes[0])}, and those of "
                    f"test_images {list(shapes[1])}: give them one size"
                )
            return Arrays(**parts)
        images = _images(path, file, "images")
        labels = _labels(path, file, "labels", len(images))
    train, test = split(len(images), test_share, split_seed, str(path))
    return Arrays(images[train], labels[train], images[test], labels[test])


def has_labels(path: Path) -> bool:
    """Whether a file tells at least two classes of training images apart.

    Raises:
        UserError: as `read_npz`.
    """
    with open_npz(path) as file:
        name = "train_labels" if split_by_file(path, file.names) else "labels"
        return name in file.names and len(np.unique(file.read(name))) > 1


def open_npz(path: Path) -> AbstractContextManager[ArrayArchive]:
    """Open a file. Pickled objects in it are never loaded.

    Raises:
        UserError: it is missing or no .npz file.
    """
    if not path.exists():
        raise UserError(f"{path} is missing")
    if not path.is_file():
        raise UserError(f"{path} is not an ordinary file")
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX:
            raise UserError(f"{path} holds one array without a name: write it with numpy.savez")
    return open_archive(path, path, "write it with numpy.savez", LARGEST)


def split_by_file(path: Path, names: list[str]) -> bool:
    """Whether a file with these arrays has training and test images apart.

    Raises:
        UserError: it has neither these nor `images`, or both, labels of one part only, or an array
            of another name, which may be a slip of one of these.
    """
    found = ", ".join(names) or "none"
    apart = {"train_images", "test_images"} & set(names)
    if len(apart) == 1 or bool(apart) == ("images" in names):
        raise UserError(
            f"{path} needs an array 'images', or the two 'train_images' and 'test_images' (found: "
            f"{found})"
        )
    labels = [f"{part}_labels" for part in ("train", "test") if f"{part}_labels" in names]
    if (apart and (len(labels) == 1 or "labels" in names)) or (not apart and labels):
        wanted = "'train_labels' and 'test_labels', or neither" if apart else "'labels', or none"
        raise UserError(f"{path}: the labels of these images are {wanted} (found: {found})")
    if others := sorted(set(names) - KNOWN):
        raise UserError(
            f"{path} has an array {others[0]!r}: known are {', '.join(sorted(KNOWN))}. Rename it, "
            "or leave it out"
        )
    return bool(apart)


def _images(path: Path, file: ArrayArchive, name: str) -> Bytes:
    """Images as uint8 of shape [N, height, width] or [N, height, width, 3]."""
    array = file.read(name)
    shape = list(array.shape)
    if array.ndim == 4 and shape[3] == 1:
        array = array[..., 0]
    if array.ndim not in (3, 4) or (array.ndim == 4 and shape[3] != 3) or 0 in shape:
        raise UserError(
            f"{path}: '{name}' has the shape {shape}, and images need [N, height, width] or "
            "[N, height, width, 3], with at least one image and one pixel"
        )
    if array.dtype == np.uint8:
        if array.max() == 1:
            log.warning(
                f"{path}: '{name}' is uint8 with no value above 1, of 255: such images are black. "
                "If 1 is meant to be white, store 255, or floats"
            )
        return np.ascontiguousarray(array)
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if low >= 0 and high <= 1:  # not so for NaN, which both would be
            return _to_bytes(array)
        found = f"{array.dtype} from {low:g} to {high:g}"
    elif array.dtype.kind in "biu":
        found = f"{array.dtype} from {int(array.min())} to {int(array.max())}"
    else:
        found = str(array.dtype)
    raise UserError(
        f"{path}: '{name}' is {found}, and images are uint8 from 0 to 255, or floats from 0 to 1"
    )


def _to_bytes(array: NDArray[Any]) -> Bytes:
    """Floats in [0, 1] as the nearest of the 256 levels, a block at a time to save memory."""
    levels = np.empty(array.shape, np.uint8)
    for k in range(0, len(array), 1000):
        levels[k : k + 1000] = np.rint(255 * array[k : k + 1000].astype(np.float64))
    return levels


def _labels(path: Path, file: ArrayArchive, name: str, count: int) -> Bytes:
    if name not in file.names:
        return np.zeros(count, np.uint8)
    array = file.read(name)
    if array.shape != (count,):
        raise UserError(
            f"{path}: '{name}' has the shape {list(array.shape)}, and there are {count} images: "
            f"labels need the shape [{count}]"
        )
    is_whole = array.dtype.kind in "iu"
    if not is_whole or array.min() < 0 or array.max() >= LABELS:
        range_found = f" from {array.min()} to {array.max()}" if array.dtype.kind in "biuf" else ""
        raise UserError(
            f"{path}: '{name}' is {array.dtype}{range_found}, and labels are whole numbers from 0 "
            f"to the number of classes minus 1, below {LABELS}"
        )
    return array.astype(np.uint8)
