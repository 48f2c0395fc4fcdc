"""Writes files atomically, reads files of bounded size, and computes digests."""

import errno
import fcntl
import hashlib
import os
import resource
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import Buffer

from vaebench.errors import UserError
from vaebench.progress import log

CONFLICT = b"<<<<<<< "
"""With what git begins a place at which two branches differ."""
LEFTOVER = ".part"
"""The suffix of a file that is being written. Such a file stays if its writer is killed."""
SPARE_FILES = 32
"""Files that a process has open beside those that it is asked for."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically: readers see the old file or the whole new one.

    The new file is read back before it replaces the old one. File and name are synced to disk
    before this returns. So after a crash, no file that was written later exists without this one.

    Raises:
        OSError: the folder cannot be written or the disk is full; `path` is then unchanged. The
            error names it.
    """
    with naming(path):
        _write(path, content)


def _write(path: Path, content: bytes) -> None:
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


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give the errors of the system in this block the name of a file, where they have none.

    A disk that is full, or has no locks, is reported without one.

    Raises:
        OSError: as the block, with a file name.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise


def read_content(
    path: Path,
    remedy: str,
    limit: int,
    digest: str | None = None,
    digest_of: str = "its record",
    digest_with: Callable[[bytes], str] | None = None,
) -> bytes:
    """The bytes of a file from elsewhere. Its size is known before any of it is read.

    Args:
        path: the file. A link is followed. A folder, a device or a pipe is refused.
        remedy: what to do if the file cannot be used. Messages end with it.
        limit: the most bytes that such a file has.
        digest: the SHA-256 that the bytes must have. None if none is known.
        digest_of: what names that digest, for the message.
        digest_with: how it is computed from the bytes. Default: SHA-256 of all of them.

    Raises:
        UserError: the file is missing, cannot be read, is no ordinary file or too large, or has
            another digest.
    """
    end = f": {remedy}" if remedy else ""
    try:
        # Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{path} is not an ordinary file{end}")
            if status.st_size > limit:
                raise UserError(f"{path} is too large ({status.st_size:,} bytes; such a file has "
                                f"at most {limit:,}){end}")  # fmt: skip
            # Python allocates as many bytes as are asked for, whatever the file has.
            content = file.read(status.st_size + 1)
    except FileNotFoundError:
        raise UserError(f"{path} is missing{end}") from None
    except (OSError, ValueError) as error:  # ValueError: the path has a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path} cannot be read ({reason}){end}") from None
    if len(content) > status.st_size:
        raise UserError(f"{path} grows while it is read{end}")
    if digest is not None and (digest_with or digest_bytes)(content) != digest:
        raise UserError(f"{path} is not the file that {digest_of} names: it was changed, damaged "
                        f"or belongs to another run{end}")  # fmt: skip
    return content


def has_content(path: Path, content: bytes) -> bool:
    """Whether a file is there and has these bytes."""
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content


def has_text(path: Path, text: str) -> bool:
    """Whether a file is there and has this text, in UTF-8."""
    return has_content(path, text.encode())


def has_conflict(content: bytes) -> bool:
    """Whether git left the marks of a merge conflict in a text."""
    return content.startswith(CONFLICT) or b"\n" + CONFLICT in content


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Remove the temporary files that killed writers of `folder`/`name` left.

    No process may be writing there now.
    """
    for path in folder.glob(f".{name}.*{LEFTOVER}"):
        path.unlink(missing_ok=True)


def allow_open_files(count: int, what: str) -> None:
    """Raise this process's limit on open files if so many more are needed.

    Args:
        count: of files.
        what: what they are for, for the message.

    Raises:
        UserError: the system does not allow as many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + SPARE_FILES
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise UserError(
            f"{what} need {needed} open files at once, and this system allows a process {hard}: "
            "take fewer at a time, or raise the limit (ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@contextmanager
def alone(path: Path, waiting: str) -> Iterator[bool]:
    """Hold the lock of a file while `with` runs, so that no other process does the same.

    Args:
        path: the lock's own file, which stays. Its folder has to exist.
        waiting: what is said if another process holds it.

    Yields:
        Whether another process held it first.

    Raises:
        OSError: the file cannot be written, or the file system has no locks. The error names it.
    """
    with path.open("ab") as file:
        with naming(path):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                waited = False
            except BlockingIOError:
                log.info(waiting)
                fcntl.flock(file, fcntl.LOCK_EX)
                waited = True
        yield waited


def digest_bytes(content: Buffer) -> str:
    """The SHA-256 of `content`, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path, algorithm: str = "sha256") -> str:
    """The digest of a file's bytes, in hexadecimal.

    Raises:
        OSError: the file cannot be read, or is a device or a pipe, which may have no end.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "is not an ordinary file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    # mkstemp makes private files. Others should be able to read results as far as the umask allows.
    mask = os.umask(0)
    os.umask(mask)
    return mask
