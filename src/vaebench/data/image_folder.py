"""The image files of a folder, with their classes and their split by files.

Images are directly in the folder, or in a folder for each class. They may be split into `train/`
and `test/`. Hidden files, and files of other kinds than images, are left out.
"""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vaebench.errors import UserError
from vaebench.progress import log

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
CLASSES = 256
"""Labels are stored as uint8."""
CLASS_OF_NONE = ""


@dataclass(frozen=True)
class Contents:
    """The images of a folder, by their paths below it."""

    parts: dict[str, list[str]]
    """The paths in order: those of `train` and of `test`, or all of them as `all`."""
    label_of: dict[str, int]
    """The number of each image's class, in the order of their names."""
    classes: list[str]
    """The names of the classes. A single one without a name if there are no folders."""


def find_images(folder: Path) -> list[str]:
    """The sorted paths of all images below a folder, at any depth, with slashes."""
    found = []
    seen = {_identity(Path(place)) for place, _, _ in os.walk(folder)}
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [name for name in folders if (Path(place) / name).is_symlink()]:
            # A folder that is read twice would have its images in both parts of a split.
            if _identity(Path(place) / name) in seen:
                log.info(f"{Path(place) / name} is left out: it links to a folder that is read")
                folders.remove(name)
            seen.add(_identity(Path(place) / name))
        found += [
            (Path(place) / name).relative_to(folder).as_posix()
            for name in files
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)


def _identity(folder: Path) -> tuple[int, int]:
    """What two names of one folder have in common."""
    state = folder.stat()
    return state.st_dev, state.st_ino


def contents(folder: Path) -> Contents:
    """What a folder holds.

    Raises:
        UserError: there is no such folder or no image, `train/` or `test/` is there alone, some
            images have a class and others none, or a class has no training images.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    names = find_images(folder)
    if not names:
        raise UserError(f"{folder} has no images ({', '.join(SUFFIXES)}) in it or below")
    parts: dict[str, list[str]] = {"all": names}
    there = [part for part in ("train", "test") if (folder / part).is_dir()]
    if there:
        parts = {
            part: [name for name in names if name.startswith(f"{part}/")]
            for part in ("train", "test")
        }
        for part, images in parts.items():
            if not images:
                raise UserError(
                    f"{folder / part} has no images: a folder with {there[0]}/ needs images in "
                    "both train/ and test/"
                )
        if others := len(names) - sum(map(len, parts.values())):
            log.info(f"{folder}: {others} images outside train/ and test/ are left out")
    class_of = {
        name: _class_of(name, depth=1 if there else 0) for of in parts.values() for name in of
    }
    classes = sorted(set(class_of.values()))
    if CLASS_OF_NONE in classes and len(classes) > 1:
        loose = next(name for name, own in class_of.items() if own == CLASS_OF_NONE)
        raise UserError(
            f"{folder}: some images are in folders of classes, such as {classes[1]}/, and others "
            f"are not, such as {loose}: put all of them into folders, or none"
        )
    if "train" in parts:
        for name in parts["test"]:
            if class_of[name] not in {class_of[other] for other in parts["train"]}:
                raise UserError(
                    f"{folder}: {name} has the class '{class_of[name]}', and train/ has no image "
                    "of this class"
                )
    if len(classes) > CLASSES:
        raise UserError(f"{folder} has {len(classes)} classes: the most is {CLASSES}")
    number = {name: k for k, name in enumerate(classes)}
    return Contents(parts, {name: number[own] for name, own in class_of.items()}, classes)


def _class_of(name: str, depth: int) -> str:
    """The first folder of an image's path below its part; of no folder, `CLASS_OF_NONE`."""
    parts = PurePosixPath(name).parts[depth:]
    return parts[0] if len(parts) > 1 else CLASS_OF_NONE
