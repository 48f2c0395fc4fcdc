"""The datasets: where their bytes come from, and how they are prepared.

To add one, write a module with a function `prepare` that returns its `Arrays`, and register it
here; preparing it names the digest to enter. Planning reads this registry, so a dataset's module is
imported only when it is prepared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaebench.data.prepared import Arrays

Prepare = Callable[[str, Path, list[str], Path], "Arrays"]
"""Takes the dataset's name, its folder for raw files, the mirrors, and a folder for unfinished work
that an interrupted preparation finds again; returns its arrays."""


@dataclass(frozen=True)
class Dataset:
    """A registered dataset."""

    description: str
    module: str
    """The module of vaebench.data.registry whose function `prepare` makes the arrays."""
    digest: str | None
    """Of the arrays, see `prepared.digest`: a run's hash names the bytes before they are here. None
    where they are known only once they are prepared, see `prepared.data_digest`."""
    is_labelled: bool = True
    """Whether a classifier can learn its labels; those of other datasets are all 0."""
    is_public: bool = True
    """Whether its images, and figures that show them, may be passed on and published."""

    def prepare(self, name: str, raw: Path, mirrors: list[str], unfinished: Path) -> "Arrays":
        """Fetch what is missing into `raw`, verify it, and return the arrays."""
        prepare: Prepare = import_module(f"vaebench.data.registry.{self.module}").prepare
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
    ),
}
