"""Datasets that a config or a path describes, without code."""

import re
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from vaebench.data.image_files import mark
from vaebench.data.image_folder import contents, find_images
from vaebench.data.npz import has_labels, read_npz
from vaebench.data.prepared import Arrays
from vaebench.data.registry import DATASETS, Dataset, register
from vaebench.errors import UserError
from vaebench.files import digest_bytes
from vaebench.paths import ConfigPath

Side = Annotated[int, Field(ge=1, le=4096)]
Pair = Annotated[tuple[Side, Side], Field(strict=False)]
"""Of YAML's lists too."""
LOOK_AGAIN = 10.0
"""The seconds for which the files of a folder count as unchanged. Planning asks for each run."""


class _Described(BaseModel):
    """What all descriptions have."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    test_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of the images for testing. Not used if the source has test images.",
    )
    split_seed: int = Field(
        0, ge=0, lt=2**63, description="Seed of that split, and of the order of the images."
    )
    digest: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="Digest of the prepared data, from data/prepared/NAME/dataset.json. Other "
        "data are then refused, and the data do not have to be prepared before "
        "planning.",
    )
    public: bool = Field(
        False,
        description="Whether images, and figures that show them, may be published: `vaebench "
        "export --unpacked` then writes them.",
    )


class NpzDataset(_Described):
    """A dataset of one .npz file, see `npz.read_npz`."""

    npz: ConfigPath = Field(
        description="A .npz file with `images`, or with `train_images` and `test_images`: uint8 "
        "or floats in 0..1, of shape [N, height, width] or [N, height, width, 3]. It "
        "can have `labels`, or `train_labels` and `test_labels`, from 0."
    )

    @property
    def place(self) -> Path:
        """The file."""
        return Path(self.npz)

    @property
    def is_here(self) -> bool:
        """Whether there is such a file."""
        return self.place.exists()

    def files(self) -> list[Path]:
        """The file."""
        return [self.place]

    def is_labelled(self) -> bool:
        """Whether there are labels of at least two classes."""
        return has_labels(self.place)

    def make(self, unfinished: Path) -> Arrays:  # noqa: ARG002 - as that of a folder
        """The arrays."""
        return read_npz(self.place, self.test_share, self.split_seed)


class FolderDataset(_Described):
    """A dataset of image files in a folder, see `image_folder.read_folder`."""

    folder: ConfigPath = Field(
        description="A folder of images, or of folders for each class. It can have train/ and "
        "test/ of this kind."
    )
    size: Side | Pair | None = Field(
        None,
        description="Side in pixels, or [height, width], to which images are cropped and resized. "
        "Not needed if all images have one size.",
    )
    colours: Literal[1, 3] | None = Field(
        None, description="1 for grey, 3 for colour. Default: grey if all images are grey."
    )

    @property
    def place(self) -> Path:
        """The folder."""
        return Path(self.folder)

    @property
    def is_here(self) -> bool:
        """Whether there is such a folder."""
        return self.place.is_dir()

    def files(self) -> list[Path]:
        """All images."""
        return [self.place / name for name in find_images(self.place)]

    def is_labelled(self) -> bool:
        """Whether there are folders for at least two classes."""
        return len(contents(self.place).classes) > 1

    def make(self, unfinished: Path) -> Arrays:
        """The arrays."""
        from vaebench.data.read_folder import read_folder  # planning does not need Pillow

        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        return read_folder(
            self.place, size, self.colours, self.test_share, self.split_seed, unfinished
        )


def _kind(value: object) -> str | None:
    keys = (
        value if isinstance(value, Mapping) else vars(value) if isinstance(value, BaseModel) else ()
    )
    kinds = [kind for kind in ("npz", "folder") if kind in keys]
    return kinds[0] if len(kinds) == 1 else None


Description = Annotated[
    Annotated[NpzDataset, Tag("npz")] | Annotated[FolderDataset, Tag("folder")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="a dataset needs one of the keys npz (a file) and folder (of images)",
    ),
]


def register_datasets(descriptions: Mapping[str, NpzDataset | FolderDataset]) -> None:
    """Register datasets by their descriptions, whose files need not be here.

    A dataset may be registered again, also with another place of its source unless there is one at
    both places: a config that was copied to another folder names a place of its own.

    Raises:
        UserError: a name is taken by another dataset.
    """
    for name, description in descriptions.items():
        known = DATASETS.get(name)
        if known is not None and isinstance(known.described, NpzDataset | FolderDataset):
            former = known.described
            is_other = former.place != description.place and former.is_here and description.is_here
            if is_other or _but_for_place(former) != _but_for_place(description):
                raise UserError(
                    f"dataset '{name}' is described in two ways: as {_shown(former)}, and as "
                    f"{_shown(description)}"
                )
            if former.is_here or not description.is_here:
                continue
            del DATASETS[name]
        register(
            name,
            Dataset(
                _title(description),
                description.make,
                description.digest,
                is_labelled=_is_labelled(description),
                is_public=description.public,
                source=partial(_state, description),
                described=description,
            ),
        )


def dataset_of(text: str) -> str:
    """The name of a dataset that is given by its name or by the path of its source.

    The path of a .npz file or of a folder is registered under its last part, in lower case and with
    hyphens. A registered name comes before a folder of that name.

    Raises:
        UserError: the path is missing, or its name is taken.
    """
    path = Path(text)
    is_npz = path.suffix == ".npz"
    if text in DATASETS or not (is_npz or "/" in text or path.is_dir()):
        return text
    if not path.exists():
        raise UserError(f"{path} is missing: a dataset is a name, a .npz file or a folder")
    if not is_npz and not path.is_dir():
        raise UserError(f"{path} is neither a .npz file nor a folder of images")
    path = path.absolute()
    stem = path.stem if is_npz else path.name
    name = "-".join(re.findall(r"[a-z0-9]+", stem.lower()))
    if not name:
        raise UserError(f"{path}: '{stem}' cannot be the name of a dataset: use letters or digits")
    register_datasets(
        {name: NpzDataset(npz=str(path)) if is_npz else FolderDataset(folder=str(path))}
    )
    return name


def _but_for_place(description: NpzDataset | FolderDataset) -> tuple[type, str]:
    return type(description), description.model_dump_json(exclude={"npz", "folder"})


def _options(description: NpzDataset | FolderDataset) -> str:
    """What decides the arrays beside the files."""
    return description.model_dump_json(exclude={"npz", "folder", "public", "digest"})


def _shown(description: NpzDataset | FolderDataset) -> str:
    return f"{description.place} with {_but_for_place(description)[1]}"


def _title(description: NpzDataset | FolderDataset) -> str:
    """Without the place, which is one of this machine."""
    if isinstance(description, NpzDataset):
        return f"images of the file {description.place.name}"
    return f"images of the folder {description.place.name}"


def _is_labelled(description: NpzDataset | FolderDataset) -> bool:
    """Whether it has labels. Taken for granted where the source is not here or is damaged."""
    try:
        return not description.is_here or description.is_labelled()
    except UserError:
        return True


_states: dict[NpzDataset | FolderDataset, tuple[float, str]] = {}


def _state(description: NpzDataset | FolderDataset) -> str | None:
    """The source and the options of a dataset, as they are now. None if the source is not here."""
    if not description.is_here:
        return None
    then, state = _states.get(description, (0.0, ""))
    is_recent = time.monotonic() - then < LOOK_AGAIN
    if isinstance(description, NpzDataset) or not (state and is_recent):
        marks = [
            f"{path.relative_to(description.place)} {mark(path)}" for path in description.files()
        ]
        text = "\n".join([_options(description), *marks])
        state = digest_bytes(text.encode(errors="surrogateescape"))
        _states[description] = (time.monotonic(), state)
    return state
