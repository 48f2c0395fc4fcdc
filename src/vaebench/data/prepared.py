"""Prepared datasets: uint8 arrays on disk that training maps into memory."""

import contextlib
import io
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.files import digest_bytes, write_atomically

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Arrays:
    """A dataset in memory: images of shape [N, height, width(, colour)] and labels of shape [N]."""

    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes


PARTS = tuple(Arrays.__dataclass_fields__)
LARGE = 256 * 1024**2
"""Bytes from which a dataset is not checked again while its files keep their size and date."""


def manifest_path(prepared: Path, name: str) -> Path:
    """The file that says which bytes a prepared dataset has; it is written last."""
    return prepared / name / "dataset.json"


def data_digest(prepared: Path, name: str) -> str:
    """The digest of a dataset: as registered, or as prepared where its bytes depend on its source.

    Raises:
        UserError: it is not registered, and the dataset is not prepared.
    """
    registered = DATASETS[name].digest
    if registered is not None:
        return registered
    path = manifest_path(prepared, name)
    try:
        recorded: str = json.loads(path.read_text())["digest"]
    except FileNotFoundError:
        raise UserError(
            f"dataset '{name}' is not prepared, and only then is it known what its runs depend on: "
            f"run `vaebench data {name}` first, which says where it looks for the images"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}): run `vaebench data {name}` again") from None
    return recorded


def prepare(name: str, root: Path, mirrors: list[str]) -> Path:
    """Make `root`/prepared/`name` from the raw data, fetched into `root`/raw where needed.

    Returns:
        The path of the dataset's manifest.

    Raises:
        UserError: the data cannot be had or fail verification.
        ValueError: what the dataset's module returns are no images with their labels.
    """
    unfinished = root / "prepared" / f".{name}.unfinished"
    arrays = DATASETS[name].prepare(name, root / "raw" / name, mirrors, unfinished)
    _check(name, arrays)
    parts = {part: _digest_part(getattr(arrays, part)) for part in PARTS}
    found, registered = _combine(parts), DATASETS[name].digest
    if registered not in (None, found):
        raise UserError(
            f"the prepared arrays of '{name}' have the digest {found}, not the registered "
            f"'{registered}': nothing was written. Who adds or changes this dataset enters the "
            "digest in src/vaebench/data/__init__.py"
        )
    target = root / "prepared" / name
    for part in PARTS:
        _store(getattr(arrays, part), target / f"{part}.npy")
    shutil.rmtree(unfinished, ignore_errors=True)
    manifest = {
        "dataset": name,
        "digest": found,
        "parts": {
            part: {"shape": list(getattr(arrays, part).shape), "sha256": parts[part]}
            for part in PARTS
        },
    }
    path = manifest_path(root / "prepared", name)
    write_atomically(path, (json.dumps(manifest, indent=2) + "\n").encode())
    return path


def _check(name: str, arrays: Arrays) -> None:
    """Whether these are images and labels as `Arrays` has them; else training would take them."""
    for images, labels in (
        (arrays.train_images, arrays.train_labels),
        (arrays.test_images, arrays.test_labels),
    ):
        has_shapes = images.ndim in (3, 4) and labels.shape == images.shape[:1]
        if not (has_shapes and images.dtype == labels.dtype == np.uint8):
            raise ValueError(
                f"dataset '{name}': images have to be uint8 of shape [N, height, width(, colour)] "
                f"and labels uint8 of shape [N], not {images.dtype} {list(images.shape)} and "
                f"{labels.dtype} {list(labels.shape)}"
            )


def _store(array: Bytes, path: Path) -> None:
    if isinstance(array, np.memmap):
        path.parent.mkdir(parents=True, exist_ok=True)
        array.flush()
        os.replace(str(array.filename), path)
        return
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_atomically(path, buffer.getvalue())


def load(prepared: Path, name: str, every_byte: bool = False) -> Arrays:
    """Map a prepared dataset into memory, after checking it against its digest.

    Args:
        prepared: the folder of prepared datasets.
        name: the dataset.
        every_byte: check every byte also of a large dataset whose files were checked before and
            have had the same size and date since.

    Raises:
        UserError: it was not prepared, or a part is missing or changed.
    """
    folder = prepared / name
    if not manifest_path(prepared, name).exists():
        raise UserError(f"{folder} is missing: prepare the dataset with `vaebench data {name}`")
    try:
        # "c": torch wants writable memory; nothing written ever reaches the file.
        arrays = Arrays(*(np.load(folder / f"{part}.npy", mmap_mode="c") for part in PARTS))
        state = _state_of_files(folder)
        stamp = prepared / f".{name}.checked.json"
        if not every_byte and _size(state) >= LARGE and _stamped(stamp) == state:
            return arrays
        found = digest(arrays)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder} is incomplete ({error}): run `vaebench data {name}` again"
        ) from None
    if found != data_digest(prepared, name):
        raise UserError(
            f"{folder} does not have the bytes of '{name}' (digest {found}): "
            f"run `vaebench data {name}` again"
        )
    if _size(state) >= LARGE:
        with contextlib.suppress(OSError):  # in a folder that cannot be written, checked each time
            write_atomically(stamp, json.dumps(state).encode())
    return arrays


def _state_of_files(folder: Path) -> dict[str, list[int]]:
    """Size and date of each part, and of the manifest that names their digest."""
    files = [*(f"{part}.npy" for part in PARTS), "dataset.json"]
    stats = {file: (folder / file).stat() for file in files}
    return {file: [stat.st_size, stat.st_mtime_ns] for file, stat in stats.items()}


def _size(state: dict[str, list[int]]) -> int:
    return sum(size for size, _ in state.values())


def _stamped(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def digest(arrays: Arrays) -> str:
    """SHA-256 over the shapes and bytes of all parts: equal for equal content, however stored."""
    return _combine({part: _digest_part(getattr(arrays, part)) for part in PARTS})


def _combine(parts: dict[str, str]) -> str:
    return digest_bytes("".join(parts[part] for part in PARTS).encode())


def _digest_part(array: Bytes) -> str:
    header = f"{array.dtype.name}{list(array.shape)}".encode()
    return digest_bytes(header + digest_bytes(np.ascontiguousarray(array).data.cast("B")).encode())
