"""Finds and reads the files of a finished run, in each place where this package puts them."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from vaebench.errors import UserError
from vaebench.paths import Layout
from vaebench.reading import arrays
from vaebench.reading.tensors import read_tensors
from vaebench.runs.record import RunRecord, admit_dataset, read_record
from vaebench.runs.store import WEIGHTS

METRICS = "the run's metrics.json"
AGAIN = "train the run again, or take the files of one run"


def read_run(path: Path) -> RunRecord:
    """The record of the run in a folder.

    Raises:
        UserError: the folder has no run, or its record is damaged or of another version.
    """
    if not (path / "metrics.json").exists():
        below = sorted(found.parent for found in path.glob("*/metrics.json"))
        runs = f"; runs below it: {', '.join(map(str, below))}" if below else ""
        raise UserError(f"{path} is not the folder of a run: it has no metrics.json{runs}")
    admit_dataset(path / "metrics.json")
    return read_record(path / "metrics.json")


def read_arrays(path: Path, record: RunRecord) -> dict[str, NDArray[Any]]:
    """The arrays of the run in a folder, see `evaluation/arrays.py`.

    Raises:
        UserError: the file is missing or is not the one that the record names.
    """
    return arrays.read_arrays(path / "arrays.npz", AGAIN, record.digests.arrays, METRICS)


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
    return read_tensors(path, AGAIN, record.digests.weights, METRICS)
