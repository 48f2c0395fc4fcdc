"""Thin copies of .npz files: some arrays are left out, and the file says which and of what.

A record names the digest of the whole file. The comment of a thin copy has that digest, so that it
still counts as the file that the record names. Its own digest is in the manifest of its tier. Of a
record, a thin copy is packed, see `reading/packed.py`.
"""

import io
import os
import re
import zipfile
from collections.abc import Collection
from pathlib import Path

from vaebench.files import digest_bytes, digest_file
from vaebench.reading import packed

_MARK = "vaebench: thin copy of {digest} without {names}"
# The end of an archive has 22 bytes and a comment.
_END = re.compile(
    rb"PK\x05\x06.{18}" + _MARK.format(digest="([0-9a-f]{64})", names=r"(\w+(?: \w+)*)\Z").encode(),
    re.DOTALL,
)
_LONGEST = 22 + 65535


def thin(content: bytes, keep: Collection[str]) -> bytes:
    """A copy of a .npz file with these of its arrays. Equal arguments give equal bytes.

    A file that has no others stays as it is. What was left out of a thin copy before stays away.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as whole:
        arrays = {each.filename.removesuffix(".npy"): each for each in whole.infolist()}
        without = [*left_out(content), *(name for name in arrays if name not in keep)]
        if not arrays.keys() - keep:
            return content
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as copy:
            for name, member in arrays.items():
                if name in keep:
                    fresh = zipfile.ZipInfo(member.filename)
                    copy.writestr(fresh, whole.read(member), zipfile.ZIP_DEFLATED)
            names = " ".join(sorted(without))
            copy.comment = _MARK.format(digest=whole_digest(content), names=names).encode()
    return buffer.getvalue()


def whole_digest(content: bytes) -> str:
    """The SHA-256 of a file; of a thin copy, that of the file that it is a copy of."""
    found = _END.search(content, max(0, len(content) - _LONGEST))
    return digest_bytes(packed.unpack(content)) if found is None else found[1].decode()


def left_out(content: bytes) -> list[str]:
    """The names of the arrays that a thin copy lacks. Empty for a whole file."""
    found = _END.search(content, max(0, len(content) - _LONGEST))
    return [] if found is None else found[2].decode().split()


def whole_digest_of(path: Path) -> str:
    """As `whole_digest`, of a file of any size: of one with arrays, only its end is in memory."""
    if path.suffix == ".json":
        return whole_digest(path.read_bytes())
    found = _END.search(_end(path))
    return digest_file(path) if found is None else found[1].decode()


def is_thin(path: Path) -> bool:
    """Whether a file is a thin copy. No more than its end is read."""
    return _END.search(_end(path)) is not None


def is_copy_of(path: Path, digest: str) -> bool:
    """Whether a file is there and has this digest, or is a thin copy of one that has."""
    return path.exists() and whole_digest_of(path) == digest


def _end(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LONGEST))
        return file.read(_LONGEST)
