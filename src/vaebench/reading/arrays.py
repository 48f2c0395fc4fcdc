"""Reads numpy's arrays from .npy files and .npz archives. Nothing is unpickled.

A header says how large an array is before any of it is unpacked. It is believed only if the file
has as many bytes.
"""

import io
import math
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vaebench.errors import UserError
from vaebench.files import read_content
from vaebench.reading.parsing import parsing
from vaebench.reading.thin import left_out, whole_digest

Arrays = dict[str, NDArray[Any]]

LARGEST = 4 * 1024**3
"""The most bytes of the arrays of a run, packed or unpacked."""
MOST_MEMBERS = 10_000
LONGEST_HEADER = 10_000
MOST_PACKED = 1100
"""No deflated file is larger than this many times its packed size."""
KIND = "a .npz file"


def read_arrays(
    path: Path, remedy: str, digest: str | None = None, digest_of: str = "its record"
) -> Arrays:
    """The arrays of a .npz file by name. The file may be a thin copy, see `reading/thin.py`.

    Raises:
        UserError: as `files.read_content` and `arrays_of`; and later, at a question for an array
            that a thin copy lacks.
    """
    content = read_content(path, remedy, LARGEST, digest, digest_of, whole_digest)
    return _Arrays(arrays_of(content, path, remedy), path, left_out(content))


@contextmanager
def noting() -> Iterator[dict[Path, set[str]]]:
    """Note what is asked of the arrays that `read_arrays` returns, by file, until `with` ends."""
    noted: dict[Path, set[str]] = {}
    before = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(before)


_noted: ContextVar[dict[Path, set[str]] | None] = ContextVar("noted", default=None)


class _Arrays(dict[str, NDArray[Any]]):
    """The arrays of a file, which notes what it is asked for.

    In a thin copy, even a question for an array that it lacks is an error: nobody is to take it for
    a file that never had this array. What is there is in `keys()`.
    """

    def __init__(self, arrays: Arrays, path: Path, lacking: Collection[str]) -> None:
        super().__init__(arrays)
        self._path, self._lacking = path, lacking

    def __getitem__(self, name: str) -> NDArray[Any]:
        self._asked(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._asked(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._asked(name)
        return super().get(name, default)

    def _asked(self, name: str) -> None:
        if (noted := _noted.get()) is not None:
            noted.setdefault(self._path, set()).add(name)
        if name in self._lacking:
            raise UserError(
                f"{self._path} is a thin copy without the array '{name}', which nothing needed "
                "that was published with it: import an archive of the tier with all arrays, or "
                "remove the run and train it again"
            )


def arrays_of(content: bytes, path: Path, remedy: str) -> Arrays:
    """The arrays of a .npz file's content by name.

    Raises:
        UserError: it is no archive of arrays, or one of them holds Python objects, is larger than
            the file or than `LARGEST`, or has another size than its header says.
    """
    with open_archive(io.BytesIO(content), path, remedy) as archive:
        return {name: archive.read(name) for name in archive.names}


class ArrayArchive:
    """An open .npz archive whose members are read one at a time."""

    def __init__(self, file: zipfile.ZipFile, path: Path, remedy: str, limit: int) -> None:
        self._file, self._path, self._remedy = file, path, remedy
        with parsing(path, KIND, remedy):
            self._members = _members(file, limit)
        self.names = list(self._members)

    def read(self, name: str) -> NDArray[Any]:
        """An array by name.

        Raises:
            UserError: it is damaged, or not what its header says.
        """
        end = f": {self._remedy}" if self._remedy else ""
        try:
            with self._file.open(self._members[name]) as member:
                return read_array(member, self._members[name].file_size)  # type: ignore[arg-type]
        except MemoryError:
            raise
        # As in `parsing`: the errors of numpy, zipfile and several decoders.
        except Exception as error:
            raise UserError(
                f"{self._path}: the array '{name}' cannot be read ({error}){end}"
            ) from None


@contextmanager
def open_archive(
    source: Path | BinaryIO, path: Path, remedy: str, limit: int = LARGEST
) -> Iterator[ArrayArchive]:
    """Open a .npz archive. It is closed at the end of `with`.

    Args:
        source: the file, or its content.
        path: the name of the file in messages.
        remedy: what to do if it cannot be read.
        limit: the most bytes of all arrays.

    Raises:
        UserError: it is no archive, or its members are no arrays by their names and sizes.
    """
    with parsing(path, KIND, remedy):
        file = zipfile.ZipFile(source)
    with file:
        yield ArrayArchive(file, path, remedy, limit)


def read_array(file: BinaryIO, size: int) -> NDArray[Any]:
    """The array of an open .npy file.

    Args:
        file: at its beginning.
        size: its length in bytes.

    Raises:
        UserError: the header is no header, names Python objects, or does not fit the size.
        Exception: of numpy or of the archive, if the bytes are damaged.
    """
    header = read_header(file, size)
    shape, dtype, wanted = header.shape, header.dtype, size - header.end
    if wanted == 0:
        return np.empty(shape, dtype)
    content = bytearray(wanted)
    view, done = memoryview(content), 0
    while done < wanted:
        part = file.read(min(wanted - done, 1 << 24))
        if not part:
            raise UserError("it ends too early")
        view[done : done + len(part)] = part
        done += len(part)
    file.read(1)  # the end of a member, at which its checksum is compared
    return np.frombuffer(content, dtype).reshape(shape, order="F" if header.is_fortran else "C")


def map_array(path: Path, remedy: str, dtype: type[np.generic]) -> NDArray[Any]:
    """Map the array of a .npy file into memory. What is written into it does not reach the file.

    Raises:
        UserError: the file is missing or cannot be read, or is no array of this type.
    """
    end = f": {remedy}" if remedy else ""
    if not path.exists():
        raise UserError(f"{path} is missing{end}")
    if not path.is_file():
        raise UserError(f"{path} is not an ordinary file{end}")
    with parsing(path, "a .npy file", remedy):
        with path.open("rb") as file:
            header = read_header(file, path.stat().st_size)
        if header.dtype != dtype:
            raise UserError(f"its numbers are {header.dtype}, not {np.dtype(dtype)}")
        order: Literal["F", "C"] = "F" if header.is_fortran else "C"
        if math.prod(header.shape) == 0:
            return np.empty(header.shape, dtype)
        return np.memmap(path, header.dtype, "c", header.end, header.shape, order)


@dataclass(frozen=True)
class Header:
    """What the header of a .npy file says."""

    shape: tuple[int, ...]
    is_fortran: bool
    """Whether the first index runs fastest."""
    dtype: np.dtype[Any]
    end: int
    """The number of bytes of the header."""


def read_header(file: BinaryIO, size: int) -> Header:
    """The header of an open .npy file.

    Args:
        file: at its beginning.
        size: its length in bytes.

    Raises:
        UserError: it is no header, names Python objects, or does not fit the size.
    """
    try:
        version = npy.read_magic(file)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, order, dtype = read(file, max_header_size=LONGEST_HEADER)
    except Exception as error:
        reason = "" if isinstance(error, KeyError) else f": {str(error).splitlines()[0][:120]}"
        raise UserError(f"it has no header of numpy's{reason}") from None
    if dtype.hasobject:
        raise UserError("it holds Python objects (a pickle), which are never loaded")
    if any(side < 0 for side in shape):
        raise UserError(f"it has the shape {list(shape)}")
    wanted, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if wanted != there:
        raise UserError(f"it has {there:,} bytes of numbers, and its header says {wanted:,}")
    return Header(shape, order, dtype, file.tell())


def _members(file: zipfile.ZipFile, limit: int) -> dict[str, zipfile.ZipInfo]:
    entries = file.infolist()
    if len(entries) > MOST_MEMBERS:
        raise UserError(f"it has {len(entries):,} members; at most {MOST_MEMBERS:,}")
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename.removesuffix(".npy")
        if name == entry.filename:
            raise UserError(f"its member {entry.filename!r} is not a numpy array")
        if name in found:
            raise UserError(f"it has the array {name!r} twice")
        if entry.file_size > MOST_PACKED * max(entry.compress_size, 1):
            raise UserError(f"its array {name!r} cannot have {entry.file_size:,} bytes")
        found[name] = entry
    total = sum(entry.file_size for entry in entries)
    if total > limit:
        raise UserError(f"its arrays have {total:,} bytes; at most {limit:,}")
    return found
