"""Prepared datasets: uint8 arrays on disk that training maps into memory."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaebench.data import DATASETS
from vaebench.errors import UserError
from vaebench.files import digest_bytes, write_atomically

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Arrays:
    """A dataset in memory: images of shape [N, height, width] and labels of shape [N]."""

    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes


PARTS = tuple(Arrays.__dataclass_fields__)


def manifest_path(prepared: Path, name: str) -> Path:
    """The file that says which bytes a prepared dataset has; it is written last."""
    return prepared / name / "dataset.json"


def prepare(name: str, root: Path, mirrors: list[str]) -> Path:
    """Make `root`/prepared/`name` from the raw data, fetched into `root`/raw where needed.

    Returns:
        The path of the dataset's manifest.

    Raises:
        UserError: the data cannot be had or fail verification.
    """
    arrays = DATASETS[name].prepare(name, root / "raw" / name, mirrors)
    if (found := digest(arrays)) != DATASETS[name].digest:
        raise UserError(
            f"the prepared arrays of '{name}' have the digest {found}, not the registered "
            f"{DATASETS[name].digest}: nothing was written"
        )
    target = root / "prepared" / name
    for part in PARTS:
        buffer = io.BytesIO()
        np.save(buffer, getattr(arrays, part), allow_pickle=False)
        write_atomically(target / f"{part}.npy", buffer.getvalue())
    manifest = {
        "dataset": name,
        "digest": found,
        "parts": {
            part: {
                "shape": list(getattr(arrays, part).shape),
                "sha256": _digest_part(getattr(arrays, part)),
            }
            for part in PARTS
        },
    }
    path = manifest_path(root / "prepared", name)
    write_atomically(path, (json.dumps(manifest, indent=2) + "\n").encode())
    return path


def load(prepared: Path, name: str) -> Arrays:
    """Map a prepared dataset into memory, after checking every byte against its digest.

    Raises:
        UserError: it was not prepared, or a part is missing or changed.
    """
    folder = prepared / name
    if not manifest_path(prepared, name).exists():
        raise UserError(f"{folder} is missing: prepare the dataset with `vaebench data {name}`")
    try:
        # "c": torch wants writable memory; nothing written ever reaches the file.
        arrays = Arrays(*(np.load(folder / f"{part}.npy", mmap_mode="c") for part in PARTS))
        found = digest(arrays)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder} is incomplete ({error}): run `vaebench data {name}` again"
        ) from None
    if found != DATASETS[name].digest:
        raise UserError(
            f"{folder} does not have the bytes of '{name}' (digest {found}): "
            f"run `vaebench data {name}` again"
        )
    return arrays


def digest(arrays: Arrays) -> str:
    """SHA-256 over the shapes and bytes of all parts: equal for equal content, however stored."""
    return digest_bytes("".join(_digest_part(getattr(arrays, part)) for part in PARTS).encode())


def _digest_part(array: Bytes) -> str:
    header = f"{array.dtype.name}{list(array.shape)}".encode()
    return digest_bytes(header + digest_bytes(np.ascontiguousarray(array).data.cast("B")).encode())
