"""The eigenvalues of the covariance of a dataset's pixels, which say what a linear VAE encodes.

They are in config/spectra.yaml, so that claims about published results need no data. From prepared
data, `python -m vaebench.claims.spectra` makes the file again for the datasets that it has, and
`python -m vaebench.claims.spectra NAME ...` for those named.
"""

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from textwrap import fill

import numpy as np
from numpy.typing import NDArray

from vaebench.data.prepared import load
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.files import write_atomically
from vaebench.paths import DATA, SPECTRA
from vaebench.yaml_text import read_yaml

LARGEST = 128
"""How many eigenvalues of a dataset are kept, the largest ones."""
DIGITS = 4
"""Significant digits of each."""

HEADER = f"""\
# The {LARGEST} largest eigenvalues of the covariance of the training images' pixels, to {DIGITS}
# significant digits: pixels in [0, 1], mean subtracted, divided by the number of images. Scaled
# data have lambda^2 times these. `data` is the digest of the prepared dataset.
# Made by `python -m vaebench.claims.spectra` from data/prepared; tests make the numbers again.
"""


def spectrum(images: NDArray[np.uint8]) -> list[float]:
    """The largest eigenvalues of the covariance of images in [0, 1], in falling order.

    Args:
        images: levels 0..255, shape [N, ...].
    """
    pixels = images.reshape(len(images), -1) / 255.0
    centred = pixels - pixels.mean(0)
    values = np.linalg.eigvalsh(centred.T @ centred / len(pixels))[::-1][:LARGEST]
    return [float(f"{max(value, 0.0):.{DIGITS}g}") for value in values]


@cache
def load_spectra(path: Path = SPECTRA) -> dict[str, list[float]]:
    """The eigenvalues of each dataset of the file, in falling order.

    Raises:
        UserError: the file is missing or no such file.
    """
    try:
        entries = read_yaml(path)
        return {name: [float(x) for x in entry["eigenvalues"]] for name, entry in entries.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} does not have `eigenvalues` for each dataset ({error!r}): make it again with "
            "`python -m vaebench.claims.spectra`"
        ) from None


def write_spectra(names: Sequence[str], prepared: Path, path: Path) -> None:
    """Compute the spectra of prepared datasets and write the file.

    Raises:
        UserError: a dataset is not prepared.
    """
    entries = []
    for name in names:
        values = ", ".join(f"{value:g}" for value in spectrum(load(prepared, name).train_images))
        lines = fill(f"eigenvalues: [{values}]", 98, initial_indent="  ", subsequent_indent="    ")
        entries.append(f"{name}:\n  data: {DATASETS[name].digest}\n{lines}\n")
    write_atomically(path, (HEADER + "".join(entries)).encode())


if __name__ == "__main__":
    write_spectra(sys.argv[1:] or list(load_spectra()), DATA / "prepared", SPECTRA)
