"""Finds and reads the files of a finished run, in each place where this package puts them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from vaebench.errors import UserError
from vaebench.files import digest_bytes
from vaebench.paths import Layout
from vaebench.runs.record import RunRecord, read_record
from vaebench.runs.store import WEIGHTS


def read_run(path: Path) -> RunRecord:
    """The record of the run in a folder.

    Raises:
        UserError: the folder has no run, or its record is damaged or of another version.
    """
    if not (path / "metrics.json").exists():
        below = sorted(found.parent for found in path.glob("*/metrics.json"))
        runs = f"; runs below it: {', '.join(map(str, below))}" if below else ""
        raise UserError(f"{path} is not the folder of a run: it has no metrics.json{runs}")
    return read_record(path / "metrics.json")


def read_arrays(path: Path, record: RunRecord) -> dict[str, NDArray[Any]]:
    """The arrays of the run in a folder, see `evaluation/arrays.py`.

    Raises:
        UserError: the file is missing or is not the one that the record names.
    """
    content = _checked(path / "arrays.npz", record.digests.arrays)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def weights_places(path: Path) -> list[Path]:
    """Where the weights of a run may be: beside its record, or in the tier's tree of weights."""
    places = [path / WEIGHTS]
    whole = path.resolve()
    for parent in whole.parents:
        below = whole.relative_to(parent).parts
        if parent.name == "runs" and len(below) > 1:
            places.append(Layout(parent.parent).weights(below[0], Path(*below[1:])))
            break
    return places


def read_weights(path: Path, record: RunRecord) -> dict[str, Tensor]:
    """The trained parameters in a file.

    Raises:
        UserError: they are not the ones that the record names.
    """
    content = _checked(path, record.digests.weights)
    try:
        return load(content)
    except SafetensorError as error:
        raise UserError(
            f"{path} is not a safetensors file ({error}): train the run again"
        ) from None


def _checked(path: Path, digest: str) -> bytes:
    """The bytes of a file, after a check against its digest."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if digest_bytes(content) != digest:
        raise UserError(
            f"{path} is not the file that the run's metrics.json names: it was changed, or it "
            "belongs to another run"
        )
    return content
