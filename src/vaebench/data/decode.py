"""Decoding many JPEGs into one file that is mapped into memory, which can be interrupted.

Images are decoded in blocks by several threads, each straight into its place in the file. Which
blocks are done stands in a file beside it, with a digest of what each was made from; whoever
continues decodes the others, and those whose images have changed since.
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
"""Images decoded at a time by a thread."""
SAVED_EVERY = 16
"""Blocks after which it is noted which are done."""


def decode(part: str, images: Jpegs, names: list[str], folder: Path) -> Mapped:
    """Decode images, cropped and resized, into `folder`/`part`.npy.

    Args:
        part: names the file.
        images: where to read.
        names: of the images, in order.
        folder: for the file and the note of what is done; both may be there from before.

    Returns:
        The file mapped into memory, uint8 of shape [N, 64, 64, 3].

    Raises:
        UserError: an image is damaged or too small; what is done is kept.
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
        out.flush()  # before the note that says so
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
    """The file, and which of its blocks are done; a new one unless it fits."""
    try:
        out = np.lib.format.open_memmap(path, mode="r+")
        done = json.loads(note.read_text())
        if out.shape == shape and out.dtype == np.uint8:
            return out, done
    except (OSError, ValueError):
        pass
    note.unlink(missing_ok=True)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape), {}
