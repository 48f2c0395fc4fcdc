"""Reads safetensors files, such as weights and saved states."""

import json
import math
from pathlib import Path

from safetensors.torch import load
from torch import Tensor

from vaebench.errors import UserError
from vaebench.files import read_content
from vaebench.reading.parsing import parsing

LARGEST = 16 * 1024**3
"""The most bytes of weights or of a saved state."""
LONGEST_HEADER = 4 * 1024**2
KIND = "a safetensors file"


def read_tensors(
    path: Path, remedy: str, digest: str | None = None, digest_of: str = "its record"
) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU.

    Raises:
        UserError: as `files.read_content` and `tensors_of`.
    """
    return tensors_of(read_content(path, remedy, LARGEST, digest, digest_of), path, remedy)


def tensors_of(content: bytes, path: Path, remedy: str) -> dict[str, Tensor]:
    """The tensors of a file's content by name.

    Raises:
        UserError: it is no safetensors file, its header is longer than the file or than
            `LONGEST_HEADER`, or tensors overlap, leave gaps or lie outside of the file.
    """
    with parsing(path, KIND, remedy):
        _check_header(content)
        return load(content)


def _check_header(content: bytes) -> None:
    """Before the library parses it, whose limit is higher and depends on its version."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise UserError("its header is longer than the file")
    if length > LONGEST_HEADER:
        raise UserError(f"its header has {length:,} bytes; at most {LONGEST_HEADER:,}")
    header = json.loads(content[8 : 8 + length])
    if not isinstance(header, dict):
        raise UserError("its header is no object")
    spans = []
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            if not math.prod(entry["shape"]) >= 0 <= first <= last:
                raise UserError(f"its tensor {name!r} has the shape {entry['shape']} and the "
                                f"offsets {first} and {last}")  # fmt: skip
            spans.append((first, last, name))
    end = 0
    for first, last, name in sorted(spans):
        if first != end:
            raise UserError(f"its tensor {name!r} overlaps another one, or there is a gap before")
        end = last
    if end != len(content) - 8 - length:
        raise UserError("its tensors do not fill the file")
