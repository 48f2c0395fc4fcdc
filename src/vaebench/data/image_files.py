"""Image files by name, in a folder or a zip archive."""

import struct
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from vaebench.errors import UserError
from vaebench.files import read_content

LARGEST = 256 * 1024**2
"""The most bytes of the file of an image."""


@dataclass(frozen=True)
class ImageFiles:
    """Images by name. Several threads may read them at once."""

    place: Path
    """The folder or the archive."""
    marks: dict[str, str]
    """For each image, a text that changes if the bytes of the image change."""
    read: Callable[[str], bytes]
    """Reads the bytes of an image.

    Raises:
        UserError: it cannot be read.
    """


def open_folder(folder: Path) -> ImageFiles:
    """The images `*.jpg` directly in a folder."""
    return files_of(folder, (path.name for path in folder.glob("*.jpg")))


def files_of(folder: Path, names: Iterable[str]) -> ImageFiles:
    """The files of a folder with these paths below it.

    Raises:
        UserError: there is no such file.
    """

    def read(name: str) -> bytes:
        return read_content(folder / name, "", LARGEST)

    return ImageFiles(folder, {name: mark(folder / name) for name in names}, read)


def mark(path: Path) -> str:
    """A text that changes if a file does, as its size and date tell.

    Raises:
        UserError: the file cannot be found.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    return f"{stat.st_size} {stat.st_mtime_ns}"


def open_archive(path: Path) -> ImageFiles:
    """The images `*.jpg` in any folder of an archive.

    Raises:
        UserError: the file is not a zip archive, a path leads out of it, or two images have the
            same name.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise UserError(f"{path} is not a zip archive that can be read ({error})") from None
    images: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        if _leads_out(entry.orig_filename):
            raise UserError(
                f"{path} holds '{entry.orig_filename}', a name that leads out of the archive: it "
                "is not CelebA's, and nothing of it is used"
            )
        name = PurePosixPath(entry.filename).name
        if name.endswith(".jpg") and not name.startswith("."):
            if name in images:
                raise UserError(f"{path} holds two images named '{name}'")
            if entry.file_size > LARGEST:
                raise UserError(
                    f"{path}: '{name}' has {entry.file_size:,} bytes unpacked; an image has at "
                    f"most {LARGEST:,}"
                )
            images[name] = entry

    def read(name: str) -> bytes:
        try:
            return archive.read(images[name])
        except MemoryError:
            raise
        # The reasons of several decoders, among them NotImplementedError and struct's own.
        except Exception as error:
            raise UserError(f"{path}: '{name}' is damaged ({error})") from None

    return ImageFiles(path, {k: f"{e.file_size} {e.CRC}" for k, e in images.items()}, read)


def _leads_out(name: str) -> bool:
    windows = PureWindowsPath(name)  # It recognises both kinds of slash.
    return bool(windows.drive or windows.root) or ".." in windows.parts or "\0" in name
