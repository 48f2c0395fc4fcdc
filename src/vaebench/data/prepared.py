"""Prepared datasets: uint8 arrays on disk, which training maps into memory."""

import contextlib
import io
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.files import alone, digest_bytes, write_atomically
from vaebench.reading.arrays import map_array
from vaebench.reading.text import read_json, read_object

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
"""A dataset of at least this many bytes is checked once, and again if the size or date of a file
changes. Smaller datasets are checked each time they are loaded."""


def manifest_path(prepared: Path, name: str) -> Path:
    """The file with the digest of a prepared dataset. It is written last."""
    return prepared / name / "dataset.json"


def data_digest(prepared: Path, name: str) -> str:
    """The digest of a dataset: the registered one, or else that of the prepared files.

    Raises:
        UserError: the dataset has no registered digest, and is not prepared.
    """
    registered = DATASETS[name].digest
    if registered is not None:
        return registered
    path = manifest_path(prepared, name)
    if not path.exists():
        raise UserError(
            f"dataset '{name}' is not prepared, and its runs depend on its bytes: run "
            f"{_command(name)} first; it says where it looks for the images"
        )
    manifest = read_object(path, f"run {_command(name)} again")
    recorded = manifest.get("digest")
    if not isinstance(recorded, str):
        raise UserError(f"{path} is damaged (it names no digest): run {_command(name)} again")
    if _has_changed(name, manifest):
        raise UserError(
            f"the source of dataset '{name}' ({DATASETS[name].description}) has changed since it "
            f"was prepared: run {_command(name)} again"
        )
    return recorded


def is_prepared(prepared: Path, name: str) -> bool:
    """Whether a dataset is prepared, and from its source as it is now."""
    try:
        manifest = read_object(manifest_path(prepared, name), "")
    except UserError:
        return False
    return not _has_changed(name, manifest)


def _has_changed(name: str, manifest: dict[str, Any]) -> bool:
    """Whether the source of a dataset is here, and not as it was."""
    source = DATASETS[name].source
    now = source() if source else None
    return now is not None and now != manifest.get("source")


def _command(name: str) -> str:
    """The command that prepares a dataset."""
    entry = DATASETS[name]
    is_ours = entry.described is None and entry.source is None
    option = "`" if is_ours else " --tier TIER` (the tier's config)"
    return f"`vaebench data {name}{option}"


def prepare(name: str, root: Path, mirrors: list[str]) -> Path:
    """Make `root`/prepared/`name` from the raw data, which are fetched into `root`/raw if needed.

    One process prepares a dataset at a time. One that waited for another takes what that one made.

    Returns:
        The path of the dataset's manifest.

    Raises:
        UserError: the raw data are missing or fail verification.
        ValueError: the dataset's function does not return images and labels as `Arrays` has them.
    """
    prepared = root / "prepared"
    prepared.mkdir(parents=True, exist_ok=True)
    waiting = f"waiting: another process prepares the dataset '{name}'"
    with alone(prepared / f".{name}.lock", waiting) as waited:
        if waited and is_prepared(prepared, name):
            return manifest_path(prepared, name)
        return _prepare(name, root, mirrors)


def _prepare(name: str, root: Path, mirrors: list[str]) -> Path:
    unfinished = root / "prepared" / f".{name}.unfinished"
    entry = DATASETS[name]
    source = entry.source() if entry.source else None
    arrays = entry.prepare(name, root / "raw" / name, mirrors, unfinished)
    _check(name, arrays)
    parts = {part: _digest_part(getattr(arrays, part)) for part in PARTS}
    found, registered = _combine(parts), entry.digest
    if registered not in (None, found):
        raise UserError(
            f"the prepared arrays of '{name}' have the digest {found}, not the registered "
            f"'{registered}': nothing was written. If you added or changed this dataset, enter the "
            "digest in src/vaebench/data/registry.py, or where it is registered"
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
        **({} if source is None else {"source": source}),
    }
    path = manifest_path(root / "prepared", name)
    write_atomically(path, (json.dumps(manifest, indent=2) + "\n").encode())
    return path


def _check(name: str, arrays: Arrays) -> None:
    """Check the shapes and types of images and labels."""
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
        every_byte: whether to check a large dataset again that was checked before, and whose files
            have kept their size and date.

    Raises:
        UserError: the dataset is not prepared, or a file is missing or changed.
    """
    folder = prepared / name
    if not manifest_path(prepared, name).exists():
        raise UserError(f"{folder} is missing: prepare the dataset with {_command(name)}")
    remedy = f"run {_command(name)} again"
    arrays = Arrays(*(map_array(folder / f"{part}.npy", remedy, np.uint8) for part in PARTS))
    try:
        state = _state_of_files(folder)
        stamp = prepared / f".{name}.checked.json"
        if not every_byte and _size(state) >= LARGE and _stamped(stamp) == state:
            return arrays
        found = digest(arrays)
    except OSError as error:
        raise UserError(f"{folder} is incomplete ({error}): {remedy}") from None
    if found != data_digest(prepared, name):
        raise UserError(
            f"{folder} does not have the bytes of '{name}' (digest {found}): "
            f"run {_command(name)} again"
        )
    if _size(state) >= LARGE:
        # In a folder that cannot be written, the dataset is checked each time.
        with contextlib.suppress(OSError):
            write_atomically(stamp, json.dumps(state).encode())
    return arrays


def _mapped(folder: Path) -> Arrays:
    # torch needs writable memory. In mode "c", writes do not reach the file.
    return Arrays(*(np.load(folder / f"{part}.npy", mmap_mode="c") for part in PARTS))


def unchecked(prepared: Path, name: str) -> Arrays | None:
    """A dataset as it lies there, for planning, which must be fast. `load` checks its bytes.

    Returns:
        Its arrays, mapped into memory. None if it is not prepared, or cannot be read.
    """
    if not is_prepared(prepared, name):
        return None
    try:
        return _mapped(prepared / name)
    except (OSError, ValueError):
        return None


def _state_of_files(folder: Path) -> dict[str, list[int]]:
    """The size and date of each file of a dataset, including its manifest."""
    files = [*(f"{part}.npy" for part in PARTS), "dataset.json"]
    stats = {file: (folder / file).stat() for file in files}
    return {file: [stat.st_size, stat.st_mtime_ns] for file, stat in stats.items()}


def _size(state: dict[str, list[int]]) -> int:
    return sum(size for size, _ in state.values())


def _stamped(path: Path) -> object:
    try:
        return read_json(path, "")
    except UserError:
        return None


def digest(arrays: Arrays) -> str:
    """SHA-256 over the shapes and values of all arrays. It does not depend on the file format."""
    return _combine({part: _digest_part(getattr(arrays, part)) for part in PARTS})


def _combine(parts: dict[str, str]) -> str:
    return digest_bytes("".join(parts[part] for part in PARTS).encode())


def _digest_part(array: Bytes) -> str:
    header = f"{array.dtype.name}{list(array.shape)}".encode()
    return digest_bytes(header + digest_bytes(np.ascontiguousarray(array).data.cast("B")).encode())
