"""Writing files so that a reader never meets half of one, and naming them by digest."""

import hashlib
import os
import tempfile
from pathlib import Path

from typing_extensions import Buffer


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`: readers see the old file or the whole new one.

    Raises:
        OSError: the folder cannot be written or the disk is full; `path` is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def digest_bytes(content: Buffer) -> str:
    """The SHA-256 of `content`, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path, algorithm: str = "sha256") -> str:
    """The digest of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _umask() -> int:
    # mkstemp makes files private; results are meant to be read by others as the umask allows.
    mask = os.umask(0)
    os.umask(mask)
    return mask
