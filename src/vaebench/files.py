"""Writing files so that a reader never meets half of one, and naming them by digest."""

import errno
import hashlib
import os
import tempfile
from pathlib import Path

from typing_extensions import Buffer

LEFTOVER = ".part"
"""Ends the name of a file that is being written; one that stays belongs to a writer that died."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`: readers see the old file or the whole new one.

    The new file is read back before it takes the place of the old one, and it is on the disk, its
    name too, when this returns: what is written later is never there without it.

    Raises:
        OSError: the folder cannot be written or the disk is full; `path` is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=LEFTOVER)
    written = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if written.read_bytes() != content:
            raise OSError(errno.EIO, "what was written cannot be read back", str(path))
        os.chmod(written, 0o666 & ~_umask())
        os.replace(written, path)
        _sync_folder(path.parent)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Remove what killed writers of `folder`/`name` left; none may be writing there now."""
    for path in folder.glob(f".{name}.*{LEFTOVER}"):
        path.unlink(missing_ok=True)


def digest_bytes(content: Buffer) -> str:
    """The SHA-256 of `content`, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path, algorithm: str = "sha256") -> str:
    """The digest of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    # mkstemp makes files private; results are meant to be read by others as the umask allows.
    mask = os.umask(0)
    os.umask(mask)
    return mask
