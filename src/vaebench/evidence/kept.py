"""Blocks of a long measurement, which are kept until it is complete, to continue from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaebench.core.vae import blocks
from vaebench.errors import UserError
from vaebench.evaluation.arrays import to_npz
from vaebench.files import write_atomically
from vaebench.progress import count_progress
from vaebench.reading.arrays import read_arrays

Named = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class KeptBlocks:
    """Computes blocks of images, or reads those that an earlier process computed."""

    folder: Path | None
    """Where they are kept. None: nowhere."""
    label: str
    """The name of the work in progress messages."""

    def run(self, name: str, count: int, size: int, compute: Callable[[slice], Named]) -> Named:
        """Compute arrays of all images, block by block.

        Args:
            name: of the part of the work.
            count: the number of images.
            size: that of a block.
            compute: computes the arrays of some images, each with a first dimension for them.
        """
        parts = []
        with count_progress(f"[{self.label}] {name}, images", count) as advance:
            for rows in blocks(count, size):
                path = None if self.folder is None else self.folder / f"{name}-{rows.start}.npz"
                found = None if path is None else _read(path, rows.stop - rows.start)
                if found is None:
                    found = compute(rows)
                    if path is not None:
                        write_atomically(path, to_npz(found))
                parts.append(found)
                advance(rows.stop - rows.start)
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _read(path: Path, count: int) -> Named | None:
    """The arrays of some images in a file. None if it is missing or damaged, or of others."""
    try:
        found = read_arrays(path, "")
        return found if found and all(len(a) == count for a in found.values() if a.ndim) else None
    except UserError:
        return None
