"""MNIST and Fashion-MNIST. torchvision provides addresses, checksums and a reader of IDX files."""

import gzip
import math
import tempfile
from pathlib import Path

import numpy as np

from vaebench.data.fetch import RawFile, fetch
from vaebench.data.prepared import Arrays, Bytes
from vaebench.data.torchvision_import import torchvision_mnist
from vaebench.errors import UserError
from vaebench.reading.parsing import parsing

CLASSES = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}


def raw_files(name: str) -> list[RawFile]:
    """The four IDX archives with their published MD5 sums and official addresses."""
    dataset = getattr(torchvision_mnist(), CLASSES[name])
    return [
        RawFile(file, md5, tuple(host + file for host in dataset.mirrors))
        for file, md5 in dataset.resources
    ]


def prepare(name: str, raw: Path, mirrors: list[str]) -> Arrays:
    """Fetch the archives into `raw`, verify and read them.

    Raises:
        UserError: an archive is missing everywhere, or is not the published one.
    """
    paths = {file.name: fetch(file, name, raw, mirrors) for file in raw_files(name)}
    return Arrays(
        train_images=_read(paths["train-images-idx3-ubyte.gz"], (60_000, 28, 28)),
        train_labels=_read(paths["train-labels-idx1-ubyte.gz"], (60_000,)),
        test_images=_read(paths["t10k-images-idx3-ubyte.gz"], (10_000, 28, 28)),
        test_labels=_read(paths["t10k-labels-idx1-ubyte.gz"], (10_000,)),
    )


def _read(path: Path, shape: tuple[int, ...]) -> Bytes:
    limit = math.prod(shape) + 16  # a header of up to four numbers
    with (
        parsing(path, "an IDX file packed with gzip", "remove it, to fetch it again"),
        tempfile.NamedTemporaryFile() as plain,
    ):
        with gzip.open(path) as packed:
            plain.write(packed.read(limit + 1))
            if plain.tell() > limit:
                raise UserError(f"it has more than {limit:,} bytes unpacked")
        plain.flush()
        array: Bytes = torchvision_mnist().read_sn3_pascalvincent_tensor(plain.name).numpy()
    if array.shape != shape or array.dtype != np.uint8:
        raise UserError(f"{path} holds {array.dtype}{list(array.shape)}, not uint8{list(shape)}")
    return array
