"""Datasets from a folder of image files."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vaebench.data.decode import Conversion, decode, open_image
from vaebench.data.image_files import ImageFiles, files_of
from vaebench.data.image_folder import contents
from vaebench.data.prepared import Arrays, Bytes
from vaebench.data.split import mixed, split
from vaebench.errors import UserError
from vaebench.progress import count_progress

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM")
GREY = frozenset({"1", "L", "LA"})
COLOURED = frozenset({"RGB", "RGBA", "P", "PA", "CMYK", "YCbCr"})
TURNED = (5, 6, 7, 8)
"""Values of EXIF's orientation with which height and width change places."""
ORIENTATION = 0x0112
Size = tuple[int, int]
"""Height and width."""


def read_folder(
    folder: Path,
    size: Size | None,
    colours: int | None,
    test_share: float,
    split_seed: int,
    unfinished: Path,
) -> Arrays:
    """The dataset of a folder.

    An image is turned upright, its centre is cropped to the shape of `size`, and that is resized,
    bicubic and antialiased. Transparent parts become white.

    Args:
        folder: the folder.
        size: the height and width of all images. None if they have one size already.
        colours: 1 or 3. None for 1 if all images are grey, and else 3.
        test_share: the share of images that is for testing, unless there are `train/` and `test/`.
        split_seed: the seed of the split, and of the order of the images.
        unfinished: a folder for unfinished work.

    Raises:
        UserError: as `contents`, an image is damaged, or no size is given and they differ in it.
    """
    there = contents(folder)
    if "all" in there.parts:
        names = there.parts["all"]
        rows = split(len(names), test_share, split_seed, str(folder))
        train, test = ([names[k] for k in of] for of in rows)
    else:
        # In a figure of the first images, all classes should occur.
        train, test = (
            [names[k] for k in mixed(len(names), split_seed)]
            for names in (there.parts["train"], there.parts["test"])
        )
    images = files_of(folder, [*train, *test])
    if size is None or colours is None:
        own_size, own_colours = _survey(images, sorted(images.marks), size is None)
        size, colours = size or own_size, colours or own_colours
    conversion = _conversion(size, colours)
    return Arrays(
        train_images=decode("train_images", images, train, conversion, unfinished),
        train_labels=np.array([there.label_of[name] for name in train], np.uint8),
        test_images=decode("test_images", images, test, conversion, unfinished),
        test_labels=np.array([there.label_of[name] for name in test], np.uint8),
    )


def _survey(images: ImageFiles, names: Sequence[str], one_size: bool) -> tuple[Size, int]:
    """The size of the images, and 1 if all are grey, else 3. Reads their headers only.

    Raises:
        UserError: one size is wanted, and an image has another than the first.
    """

    def look(name: str) -> tuple[Size, str]:
        with open_image(images, name, FORMATS) as image:
            _check_mode(image)
            height, width = image.height, image.width
            is_turned = image.getexif().get(ORIENTATION) in TURNED
            return ((width, height) if is_turned else (height, width)), image.mode

    sizes: dict[Size, str] = {}
    colours = 1
    with (
        count_progress("looking at images", len(names)) as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for name, (size, mode) in zip(names, pool.map(look, names), strict=True):
            sizes.setdefault(size, name)
            colours = colours if mode in GREY else 3
            advance(1)
    if one_size and len(sizes) > 1:
        (first, one), (other, another), *_ = sizes.items()
        raise UserError(
            f"{images.place}: images differ in size: '{one}' is {first[1]}x{first[0]} and "
            f"'{another}' {other[1]}x{other[0]} pixels. Give the size to bring them to, such as "
            "`size: 64`, in a config"
        )
    return next(iter(sizes)), colours


def _check_mode(image: Image.Image) -> None:
    if image.mode not in GREY | COLOURED:
        raise UserError(
            f"has pixels of another kind ({image.mode}) than grey or colour of 8 bits: convert it"
        )


def _conversion(size: Size, colours: int) -> Conversion:
    height, width = size

    def convert(image: Image.Image) -> Bytes:
        _check_mode(image)
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            coloured = upright.convert("RGBA")
            upright = Image.new("RGBA", coloured.size, "white")
            upright.alpha_composite(coloured)
        plain = upright.convert("L" if colours == 1 else "RGB")
        if plain.size != (width, height):
            plain = ImageOps.fit(plain, (width, height))
        return np.asarray(plain)

    return Conversion(FORMATS, (height, width) if colours == 1 else (height, width, 3), convert)
