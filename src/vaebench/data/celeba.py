"""CelebA faces: an archive or a folder of JPEGs, cropped, resized and split.

The files are those that the authors of CelebA publish. The images are in `img_align_celeba.zip`, or
in the folder `img_align_celeba/` that it unpacks to, as `000001.jpg` and so on. The file
`list_eval_partition.txt` gives for each image whether it is for training (0), validation (1) or
testing (2). Images are read from the archive without unpacking it.

Training images are those of the training split. Held-out images, which this project calls the test
set, are those of the validation split, as in the paper's experiment. If there are none, as among
the first 10,000 images, the last tenth of the training split by name is held out.
"""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from vaebench.data.crop import SIDE, crop_and_resize, crop_side
from vaebench.data.decode import Conversion, decode
from vaebench.data.fetch import RawFile, fetch, places
from vaebench.data.image_files import ImageFiles, open_archive, open_folder
from vaebench.data.prepared import Arrays, Bytes
from vaebench.data.torchvision_import import torchvision_celeba
from vaebench.errors import UserError
from vaebench.files import read_content

ARCHIVE, FOLDER, PARTITION = "img_align_celeba.zip", "img_align_celeba", "list_eval_partition.txt"
FIRST_10K_MD5 = "2e737822a569d9cc386e812942e16044"
TRAIN, HELD_OUT = 0, 1
LARGEST = 64 * 1024**2
"""The most bytes of the list of the split, of which CelebA's has 3 MB."""
CUT = 10
"""Without a validation split, one in this many training images is held out."""


def raw_files(name: str) -> list[RawFile]:
    """The archive and the partition with their published MD5 sums.

    There is no address from which a program may fetch them. Their authors offer them on
    https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html.
    """
    md5 = {file: md5 for _, md5, file in torchvision_celeba().CelebA.file_list}
    archive = FIRST_10K_MD5 if name == "celeba-10k" else md5[ARCHIVE]
    return [RawFile(ARCHIVE, archive, ()), RawFile(PARTITION, md5[PARTITION], ())]


def prepare(name: str, raw: Path, mirrors: list[str], unfinished: Path) -> Arrays:
    """Decode the images that the partition names. All labels are 0.

    `celeba` and `celeba-10k` accept only the published files. `celeba-folder` accepts any images in
    the same layout, from `raw` or from a mirror that is a folder.

    Raises:
        UserError: a file is missing or is not the published one, an image is damaged or too small,
            or a path in the archive leads out of it.
    """
    if name == "celeba-folder":
        images, partition = _find(name, raw, mirrors)
    else:
        archive, partition = (fetch(file, name, raw, mirrors) for file in raw_files(name))
        images = open_archive(archive)
    train, test = split(read_partition(partition), sorted(images.marks), partition)
    return Arrays(
        train_images=decode("train_images", images, train, FACE, unfinished),
        train_labels=np.zeros(len(train), np.uint8),
        test_images=decode("test_images", images, test, FACE, unfinished),
        test_labels=np.zeros(len(test), np.uint8),
    )


def _face(image: Image.Image) -> Bytes:
    side = crop_side(image.height, image.width)
    if side is None:
        raise UserError(
            f"is {image.width}x{image.height} pixels, too small: a centre crop of 160/178 of the "
            f"width must have {SIDE} pixels at least, and fit the height"
        )
    return crop_and_resize(np.asarray(image.convert("RGB")), side)


FACE = Conversion(("JPEG",), (SIDE, SIDE, 3), _face)
"""A JPEG, cropped and resized."""


def _find(name: str, raw: Path, mirrors: list[str]) -> tuple[ImageFiles, Path]:
    """The images and the partition of the first folder that has images."""
    folders = [raw, *(Path(place).expanduser() / name for place in places(mirrors))]
    for folder in folders:
        has_folder, archive = (folder / FOLDER).is_dir(), folder / ARCHIVE
        if not has_folder and not archive.is_file():
            continue
        if not (folder / PARTITION).is_file():
            raise UserError(
                f"{folder / PARTITION} is missing: it says which images are for training, and "
                "comes with CelebA"
            )
        if not has_folder:
            return open_archive(archive), folder / PARTITION
        images, nested = open_folder(folder / FOLDER), folder / FOLDER / FOLDER
        # Kaggle's archive has the folder twice, one inside the other.
        if not images.marks and nested.is_dir():
            images = open_folder(nested)
        if not images.marks:
            raise UserError(f"{folder / FOLDER} has no images *.jpg, nor has {FOLDER}/ in it")
        return images, folder / PARTITION
    listing = "\n".join(f"  - {folder}" for folder in folders)
    raise UserError(
        f"dataset '{name}' has no images. Looked in:\n{listing}\nPut {FOLDER}/ or {ARCHIVE}, and "
        f"{PARTITION}, into {raw}, or into a folder {name}/ of the one that VAEBENCH_MIRROR names."
    )


def read_partition(path: Path) -> dict[str, int]:
    """The split of each image by its name.

    Raises:
        UserError: a line is not `<image>.jpg` and 0, 1 or 2.
    """
    splits = {}
    text = read_content(path, f"put CelebA's {PARTITION} there", LARGEST).decode(errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        match = re.fullmatch(r"([\w-]+\.jpg)\s+([012])\s*", line)
        if match is None:
            raise UserError(
                f"{path}, line {number}: '{line[:60]}' is not an image and its split, such as "
                "'000001.jpg 0'"
            )
        splits[match[1]] = int(match[2])
    return splits


def split(partition: dict[str, int], names: list[str], path: Path) -> tuple[list[str], list[str]]:
    """The names of the training images and of the held-out images, each in order.

    Args:
        partition: the split of each image by name.
        names: the names of the images that exist, in order.
        path: the path of the partition, for the error message.

    Raises:
        UserError: there are no training images or no held-out images.
    """
    train, held_out = (
        [name for name in names if partition.get(name) == which] for which in (TRAIN, HELD_OUT)
    )
    if not held_out:
        cut = len(train) - len(train) // CUT
        train, held_out = train[:cut], train[cut:]
    if not train or not held_out:
        raise UserError(
            f"of {len(names)} images, {len(train)} are for training and {len(held_out)} are held "
            f"out, by {path}: both are needed"
        )
    return train, held_out
