"""Decodes many image files into one file that is mapped into memory. The work can be interrupted.

Several threads decode blocks of images, each directly into its place in the file. A second file
lists the blocks that are done, with a digest of their source images. When the work continues, the
other blocks are decoded, and those whose images have changed.
"""

import io
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vaebench.data.image_files import ImageFiles
from vaebench.data.prepared import Bytes
from vaebench.errors import UserError
from vaebench.files import digest_bytes, write_atomically
from vaebench.progress import count_progress
from vaebench.reading.text import read_object

Mapped = np.memmap[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Conversion:
    """What is made of each image."""

    formats: tuple[str, ...]
    """The formats of the files, by Pillow's names."""
    shape: tuple[int, ...]
    """The shape of the result."""
    convert: Callable[[Image.Image], Bytes]
    """Makes the result of an image.

    Raises:
        UserError: the image is none that can be taken. The text says how it is, without its name.
    """


MOST_PIXELS = 64_000_000
"""The most pixels of an image, of which each thread holds one unpacked."""
BLOCK = 256
"""The number of images in a block."""
SAVED_EVERY = 16
"""The list of finished blocks is saved after this many blocks."""


def decode(
    part: str, images: ImageFiles, names: list[str], conversion: Conversion, folder: Path
) -> Mapped:
    """Decode and convert images into `folder`/`part`.npy.

    Args:
        part: the name of the file.
        images: the source of the images.
        names: the names of the images, in order.
        conversion: what to make of each of them.
        folder: for the file and the list of finished blocks, which an earlier call may have left.

    Returns:
        The file mapped into memory, uint8 of shape [N, ...].

    Raises:
        UserError: an image is damaged or cannot be taken. Finished blocks are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, note = folder / f"{part}.npy", folder / f"{part}.done.json"
    blocks = [names[k : k + BLOCK] for k in range(0, len(names), BLOCK)]
    wanted = {str(k): _mark(images, block) for k, block in enumerate(blocks)}
    out, done = _open(path, note, (len(names), *conversion.shape))
    done = {k: mark for k, mark in done.items() if wanted.get(k) == mark}

    def decode_block(k: str) -> str:
        first = int(k) * BLOCK
        for row, name in enumerate(blocks[int(k)], first):
            out[row] = _decode_one(images, name, conversion)
        return k

    def save() -> None:
        out.flush()  # The images must be on disk before the list that says so.
        write_atomically(note, json.dumps(done).encode())

    todo = [k for k in wanted if k not in done]
    with (
        count_progress(f"decoding {part}", len(names)) as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        advance(sum(len(blocks[int(k)]) for k in done))
        try:
            for count, k in enumerate(pool.map(decode_block, todo), 1):
                done[k] = wanted[k]
                advance(len(blocks[int(k)]))
                if count % SAVED_EVERY == 0:
                    save()
        finally:
            save()
    return out


def _decode_one(images: ImageFiles, name: str, conversion: Conversion) -> Bytes:
    with open_image(images, name, conversion.formats) as image:
        return conversion.convert(image)


@contextmanager
def open_image(images: ImageFiles, name: str, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """Open an image. Its pixels are read when they are used first.

    The name of the image is put before the text of a `UserError` in the body of `with`.

    Raises:
        UserError: it cannot be read, or is not a complete image in one of these formats.
    """
    content = images.read(name)
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError(
                    f"has {image.width}x{image.height} pixels; at most {MOST_PIXELS:,} are taken"
                )
            yield image
    except UserError as error:
        raise UserError(f"{images.place}: '{name}' {error}") from None
    except MemoryError:
        raise
    # Pillow's decoders raise struct.error, KeyError, TypeError and more for damaged files.
    except Exception as error:
        kinds = " or ".join(formats)
        raise UserError(
            f"{images.place}: '{name}' is not a complete {kinds} image ({error})"
        ) from None


def _mark(images: ImageFiles, names: list[str]) -> str:
    lines = "\n".join(f"{name} {images.marks[name]}" for name in names)
    return digest_bytes(lines.encode(errors="surrogateescape"))


def _open(path: Path, note: Path, shape: tuple[int, ...]) -> tuple[Mapped, dict[str, str]]:
    """The file and its finished blocks. Makes a new file if there is none of this shape."""
    try:
        out = np.lib.format.open_memmap(path, mode="r+")
        done = read_object(note, "")
        if out.shape == shape and out.dtype == np.uint8:
            return out, done
    except (OSError, ValueError, UserError):
        pass
    note.unlink(missing_ok=True)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    _reserve(path)
    return out, {}


def _reserve(path: Path) -> None:
    """Reserve the disk space of a new file, which has none yet.

    On a disk that is full, the process would die of the signal SIGBUS when it writes into the file.

    Raises:
        OSError: the disk has no space for it, or cannot reserve any.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            path.unlink()
            raise OSError(error.errno, error.strerror, str(path)) from None
