"""Reads the tar files that `vaebench export` writes, and refuses every other kind of member.

Python's `tarfile` takes links, devices, sparse files and headers that change the meaning of other
headers. A tier has none of them, so this reader knows regular files only. It never believes a
number of the file: it reads in small pieces, and at most as many bytes as the file has.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from vaebench.errors import UserError

BLOCK = 512
PIECE = 1 << 20
LONGEST_HEADER = 4096
"""Bytes of an extended header, which holds the name of a member."""
KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"5": "a folder",
    b"6": "a pipe",
    b"S": "a sparse file",
    b"K": "a long link",
    b"g": "a global header",
}
IGNORED = {"atime", "ctime", "mtime"}
"""Entries of an extended header without meaning for a tier."""

Member = tuple[str, int, Iterator[bytes]]
"""The name of a file, its size in bytes and its content in pieces, which are to be read in turn."""


def read_members(file: BinaryIO) -> Iterator[Member]:
    """The files of an archive, in their order.

    Raises:
        UserError: the archive is cut off or damaged, or has a member that is no regular file. The
            text names the member.
    """
    long_name: str | None = None
    while True:
        header = _exactly(file, BLOCK, "at the end of a member")
        if not any(header):
            if long_name is not None:
                raise UserError(f"the archive is damaged: no file follows the name {long_name!r}")
            return
        if not _has_checksum(header):
            raise UserError("the archive is damaged, or is no tar file: a header is not valid")
        own_name, kind, size = _name(header), header[156:157], _number(header[124:136])
        name = own_name if long_name is None else long_name
        if kind in (b"x", b"L"):
            if long_name is not None or size > LONGEST_HEADER:
                raise UserError(f"the archive is refused: {name!r} has an unusual header")
            content = b"".join(_content(file, size, name))
            long_name = _extended(content, own_name) if kind == b"x" else _text(content)
            long_name = own_name if long_name is None else long_name
            continue
        if kind not in (b"0", b"\0"):
            what = KINDS.get(kind, f"of the unknown kind {kind!r}")
            raise UserError(f"the archive is refused: {name!r} is {what}, not a plain file")
        long_name = None
        yield name, size, _content(file, size, name)


def _exactly(file: BinaryIO, size: int, place: str) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise UserError(f"the archive is cut off {place}")
    return content


def _content(file: BinaryIO, size: int, name: str) -> Iterator[bytes]:
    """The content of a member, and then past its padding."""
    left = size
    while left:
        piece = _exactly(file, min(left, PIECE), f"in {name!r}")
        left -= len(piece)
        yield piece
    if size % BLOCK:
        _exactly(file, BLOCK - size % BLOCK, f"after {name!r}")


def _has_checksum(header: bytes) -> bool:
    wanted = _octal(header[148:156])
    return wanted == sum(header[:148]) + 8 * ord(" ") + sum(header[156:])


def _octal(field: bytes) -> int | None:
    found = re.fullmatch(rb" *([0-7]+)[ \0]*", field)
    return int(found[1], 8) if found else None


def _number(field: bytes) -> int:
    value = _octal(field)
    if value is None:
        raise UserError("the archive is refused: a header has a size that is not usual")
    return value


def _name(header: bytes) -> str:
    name = _text(header[:100])
    is_posix = header[257:263] == b"ustar\0"
    prefix = _text(header[345:500]) if is_posix else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    field = field.partition(b"\0")[0]
    try:
        return field.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"the archive is refused: the name {field!r} is not UTF-8") from None


def _extended(content: bytes, name: str) -> str | None:
    """The name in a PAX header, which is a sequence of `length key=value` lines."""
    found = None
    while content:
        match = re.match(rb"([1-9][0-9]{0,3}) ([^=\n]+)=", content)
        length = int(match[1]) if match else 0
        if match is None or not match.end() < length <= len(content):
            raise UserError(f"the archive is damaged: the header of {name!r} is not valid")
        key, line, content = match[2], content[:length], content[length:]
        if not line.endswith(b"\n"):
            raise UserError(f"the archive is damaged: the header of {name!r} is not valid")
        if key == b"path":
            if b"\0" in line:
                raise UserError(f"the archive is refused: {name!r} has an unusual header")
            found = _text(line[match.end() : -1])
        elif key.decode("latin-1") not in IGNORED:
            raise UserError(
                f"the archive is refused: the header of {name!r} sets {key!r}, which no tier needs"
            )
    return found
