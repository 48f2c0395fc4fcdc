"""Reads every file of an unpacked tier as what it says it is, before it is put anywhere."""

import re
import zipfile
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np

from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.paths import Layout
from vaebench.provenance.figure_metadata import figure_metadata
from vaebench.provenance.sense import problems_of
from vaebench.reading.packed import unpack
from vaebench.reading.thin import left_out
from vaebench.runs.measures import MEASURES
from vaebench.runs.record import (
    ClassifierRecord,
    EvaluationRecord,
    Manifest,
    RunRecord,
    read_as,
    read_record,
)
from vaebench.sharing.unpack import check_depth

LARGEST_ARRAYS = 2 * 1024**3
"""Bytes of the arrays of one file, as unpacked."""
LARGEST_TABLE = 512 * 1024**2
"""Bytes of a table, as unpacked."""
MOST_COLUMNS = 1000
LARGEST_RECORD = 64 * 1024**2
MOST_PIXELS = 200_000_000
DEEPEST = 20
_ACTIVE = re.compile(
    rb"<!ENTITY|<script|<foreignObject|<iframe|[\s\"']on[a-z]+\s*=|href\s*=\s*[\"']?\s*(?!#|[\"']|data:image/png)",
    re.IGNORECASE,
)
"""What a figure would need to do more than show."""

RECORDS: dict[str, type[EvaluationRecord | ClassifierRecord]] = {
    "evaluation.json": EvaluationRecord,
    "classifier.json": ClassifierRecord,
}


def check_contents(layout: Layout, manifest: Manifest) -> None:
    """Check that every file of an unpacked tier is what its name says.

    Args:
        layout: the tier, whose files have the digests of the manifest. Weights may be missing.
        manifest: of the tier.

    Raises:
        UserError: a file is not. The text names it.
    """
    points = 0
    records = [name for name in manifest.files if name.endswith("/metrics.json")]
    for name in records:
        points += len(_of_run(layout, name, manifest).history)
    for name in manifest.files:
        path = layout.root / name
        check = _CHECKS.get(path.suffix)
        if check is not None and name not in records:
            _named(check, path)
    for path, rows in ((layout.runs, len(records)), (layout.history, points)):
        if path.exists() and (found := _rows(path)) != rows:
            raise UserError(f"{path} is refused: it has {found:,} rows, and its runs {rows:,}")


def _of_run(layout: Layout, name: str, manifest: Manifest) -> RunRecord:
    path = layout.root / name
    _check_size(path, LARGEST_RECORD)
    check_depth(unpack(path.read_bytes()), DEEPEST, str(path))
    record = read_record(path)
    _refuse_nonsense(path, record)
    _named(lambda path: _check_arrays_of_run(path, record.run), path.with_name("arrays.npz"))
    folder = name.removeprefix("runs/").removesuffix("metrics.json")
    weights = layout.root / f"weights/{folder}model.safetensors"
    if weights.exists():
        _named(_check_tensors, weights)
    if manifest.weights.get(f"weights/{folder}model.safetensors") != record.digests.weights:
        raise UserError(f"{path} is refused: it names other weights than the manifest")
    return record


def _named(check: Callable[[Path], None], path: Path) -> None:
    """Run a check. Whatever a library says of a damaged file becomes an error that names it."""
    try:
        check(path)
    except UserError as error:
        text = str(error)
        raise UserError(text if str(path) in text else f"{path} is refused: {text}") from None
    except Exception as error:  # libraries have errors of their own for bad files
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} is refused: it cannot be read ({text})") from None


def _refuse_nonsense(path: Path, record: RunRecord | EvaluationRecord | ClassifierRecord) -> None:
    if problem := next(problems_of(record), None):
        raise UserError(f"{path} is refused: {problem}")


def _check_size(path: Path, largest: int) -> None:
    if (size := path.stat().st_size) > largest:
        raise UserError(f"{path} is refused: it has {size:,} bytes")


def _check_record(path: Path) -> None:
    _check_size(path, LARGEST_RECORD)
    check_depth(path.read_bytes(), DEEPEST, str(path))
    if path.name == "claims.json":
        return  # It is made again and compared.
    model = RECORDS.get(path.name) or MEASURES[path.stem].record
    record = read_as(model, path, "the archive is damaged")
    if problem := next(problems_of(record), None):
        raise UserError(problem)


def _check_arrays(path: Path) -> None:
    _shapes(path)


def _check_arrays_of_run(path: Path, run: Settings) -> None:
    """Check the arrays that every run has, see `evaluation/arrays.py`."""
    shapes = _shapes(path)
    for name in ("prior_std", "kl"):
        if shapes.get(name) != (run.latent_dim,):
            raise UserError(f"{name} has the shape {shapes.get(name)}, not ({run.latent_dim},)")
    if "samples" not in shapes and "samples" not in left_out(path.read_bytes()):
        raise UserError("it has no samples")


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays in a .npz, after a check that each is numbers and wholly there."""
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > LARGEST_ARRAYS:
            raise UserError(f"its arrays have more than {LARGEST_ARRAYS:,} bytes")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in shapes:
                raise UserError(f"{member.filename!r} is no array, or is there twice")
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                if version not in ((1, 0), (2, 0)):
                    raise UserError(f"{name!r} has a header of version {version}")
                read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
                shape, _, dtype = read(file)
                if dtype.kind not in "biuf" or dtype.hasobject:
                    raise UserError(f"{name!r} has values of the kind {dtype}, no numbers")
                left = prod(shape) * dtype.itemsize
                # Whatever the header says, no more is read than the archive announced.
                while piece := file.read(1 << 20):
                    left -= len(piece)
                if left:
                    raise UserError(f"{name!r} has not as many numbers as its header says")
            shapes[name] = shape
    return shapes


def _check_tensors(path: Path) -> None:
    """Check weights: `safetensors` refuses overlaps, gaps and long headers. No tensor is read."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        for name in file.keys():  # noqa: SIM118 - it is no mapping
            file.get_slice(name).get_shape()


def _rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _check_table(path: Path) -> None:
    """Check what a Parquet file announces, and then read it in pieces."""
    import pyarrow.parquet as pq

    found = pq.read_metadata(path)
    if found.num_columns > MOST_COLUMNS:
        raise UserError(f"it has {found.num_columns:,} columns")
    sizes = sum(found.row_group(k).total_byte_size for k in range(found.num_row_groups))
    if sizes > LARGEST_TABLE or found.num_rows * found.num_columns * 8 > LARGEST_TABLE:
        raise UserError(f"it has {found.num_rows:,} rows, or more than {LARGEST_TABLE:,} bytes")
    for batch in pq.ParquetFile(path).iter_batches(batch_size=1024):
        if batch.nbytes > LARGEST_TABLE:
            raise UserError(f"1,024 of its rows have more than {LARGEST_TABLE:,} bytes")


def _check_text(path: Path) -> None:
    path.read_bytes().decode("utf-8")


def _check_svg(path: Path) -> None:
    content = path.read_bytes()
    content.decode("utf-8")
    if found := _ACTIVE.search(content):
        raise UserError(f"it is more than a picture: it has {found[0][:40]!r}")
    figure_metadata(path)


def _check_png(path: Path) -> None:
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as image:
        if prod(image.size) > MOST_PIXELS:
            raise UserError(f"it has {prod(image.size):,} pixels")
        image.verify()
    figure_metadata(path)


_CHECKS: dict[str, Callable[[Path], None]] = {
    ".json": _check_record,
    ".npz": _check_arrays,
    ".safetensors": _check_tensors,
    ".parquet": _check_table,
    ".svg": _check_svg,
    ".png": _check_png,
    **dict.fromkeys((".txt", ".csv", ".md", ".html", ".js", ".yaml"), _check_text),
}
