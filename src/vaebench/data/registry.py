"""The registry of datasets.

To add one, write a module in `data/` with a function `prepare` that returns its `Arrays`, and
register it here. The command that prepares it prints the digest to enter. Planning a workflow reads
this registry. The module of a dataset is imported only to prepare it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaebench.data.prepared import Arrays

Prepare = Callable[[str, Path, list[str], Path], "Arrays"]
"""Makes the arrays of a dataset.

Args:
    name: the name of the dataset.
    raw: its folder for raw files.
    mirrors: folders or URLs with copies of the raw files.
    unfinished: a folder for unfinished work, from which an interrupted preparation continues.
"""


@dataclass(frozen=True)
class Dataset:
    """A registered dataset."""

    description: str
    module: str
    """The module of `vaebench.data` whose function `prepare` makes the arrays."""
    digest: str | None
    """The digest of the arrays, see `prepared.digest`. With it, the hash of a run is known before
    the dataset is prepared. None if it is known only after that, see `prepared.data_digest`."""
    is_labelled: bool = True
    """Whether the dataset has labels. Without labels, all labels in its arrays are 0."""
    is_public: bool = True
    """Whether its images, and figures that show them, may be shared and published."""
    is_embedded: bool = False
    """Whether it is prepared from what is installed, in moments: no file is read or fetched."""

    def prepare(self, name: str, raw: Path, mirrors: list[str], unfinished: Path) -> "Arrays":
        """Fetch missing files into `raw`, verify them, and return the arrays."""
        prepare: Prepare = import_module(f"vaebench.data.{self.module}").prepare
        return prepare(name, raw, mirrors, unfinished)


DATASETS: dict[str, Dataset] = {
    "mnist": Dataset(
        "MNIST handwritten digits, 60,000 + 10,000 images of 28x28",
        "idx",
        "99930b4ecaed1c7c1bc31488f609a03251e7534c3fd33f04cffe2bbc6ac340bb",
    ),
    "fashion-mnist": Dataset(
        "Fashion-MNIST, 60,000 + 10,000 images of 28x28",
        "idx",
        "ab5573ac3fe143094a72a8e55110a4244309364d83af34f7c331a2f4c4da2746",
    ),
    "digits": Dataset(
        "the 1,797 handwritten digits that scikit-learn ships, brought to 28x28; no download",
        "digits",
        "776f6268c8e944d6bfca681bae564253b91aa340e36c1acc8af6aa57612bbcad",
        is_embedded=True,
    ),
    "celeba": Dataset(
        "CelebA faces, 162,770 + 19,867 images (the validation split) of 64x64 in colour",
        "celeba",
        None,
        is_labelled=False,
        is_public=False,
    ),
    "celeba-10k": Dataset(
        "the first 10,000 CelebA faces at half size, 9,000 + 1,000 images of 64x64 in colour",
        "celeba",
        "04fe392a6f83489e451a9dd1279cf26b92b8519156223d8e09354ddbb812aafe",
        is_labelled=False,
        is_public=False,
    ),
    "celeba-folder": Dataset(
        "faces of a folder or zip of your own in CelebA's layout, brought to 64x64 in colour",
        "celeba",
        None,
        is_labelled=False,
        is_public=False,
    ),
    "faces": Dataset(
        "512 + 64 drawn faces of 32x32 in colour, for trying what CelebA is for; no download",
        "faces",
        "97eafded06e9110cb7c41497410e628f503d072c75f544e9357e0fb06ae3449d",
        is_labelled=False,
        is_embedded=True,
    ),
}
