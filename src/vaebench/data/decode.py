"""Decodes many JPEGs into one file that is mapped into memory. The work can be interrupted.

Several threads decode blocks of images, each directly into its place in the file. A second file
lists the blocks that are done, with a digest of their source images. When the work continues, the
other blocks are decoded, and those whose images have changed.
"""

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vaebench.data.crop import SIDE, crop_and_resize, crop_side
from vaebench.data.jpegs import Jpegs
from vaebench.data.prepared import Bytes
from vaebench.errors import UserError
from vaebench.files import digest_bytes, write_atomically
from vaebench.progress import count_progress

Mapped = np.memmap[Any, np.dtype[np.uint8]]

BLOCK = 256
"""The number of images in a block."""
SAVED_EVERY = 16
"""The list of finished blocks is saved after this many blocks."""


def decode(part: str, images: Jpegs, names: list[str], folder: Path) -> Mapped:
    """Decode images, cropped and resized, into `folder`/`part`.npy.

    Args:
        part: the name of the file.
        images: the source of the images.
        names: the names of the images, in order.
        folder: for the file and the list of finished blocks, which an earlier call may have left.

    Returns:
        The file mapped into memory, uint8 of shape [N, 64, 64, 3].

    Raises:
        UserError: an image is damaged or too small. Finished blocks are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, note = folder / f"{part}.npy", folder / f"{part}.done.json"
    blocks = [names[k : k + BLOCK] for k in range(0, len(names), BLOCK)]
    wanted = {str(k): _mark(images, block) for k, block in enumerate(blocks)}
    out, done = _open(path, note, (len(names), SIDE, SIDE, 3))
    done = {k: mark for k, mark in done.items() if wanted.get(k) == mark}

    def decode_block(k: str) -> str:
        first = int(k) * BLOCK
        for row, name in enumerate(blocks[int(k)], first):
            out[row] = _decode_one(images, name)
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


def _decode_one(images: Jpegs, name: str) -> Bytes:
    content = images.read(name)
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            side = crop_side(image.height, image.width)
            if side is None:
                raise UserError(
                    f"{images.place}: '{name}' is {image.width}x{image.height} pixels, too small: "
                    f"a centre crop of 160/178 of the width must have {SIDE} pixels at least, and "
                    "fit the height"
                )
            return crop_and_resize(np.asarray(image.convert("RGB")), side)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{images.place}: '{name}' is no whole JPEG image ({error})") from None


def _mark(images: Jpegs, names: list[str]) -> str:
    return digest_bytes("\n".join(f"{name} {images.marks[name]}" for name in names).encode())


def _open(path: Path, note: Path, shape: tuple[int, ...]) -> tuple[Mapped, dict[str, str]]:
    """The file and its finished blocks. Makes a new file if there is none of this shape."""
    try:
        out = np.lib.format.open_memmap(path, mode="r+")
        done = json.loads(note.read_text())
        if out.shape == shape and out.dtype == np.uint8:
            return out, done
    except (OSError, ValueError):
        pass
    note.unlink(missing_ok=True)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape), {}
