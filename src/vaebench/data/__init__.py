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

Prepare = Callable[[str, Path, list[str]], "Arrays"]
"""Takes the dataset's name, its folder for raw files and the mirrors; returns its arrays."""


@dataclass(frozen=True)
class Dataset:
    """A registered dataset."""

    description: str
    module: str
    """The module of vaebench.data whose function `prepare` makes the arrays."""
    digest: str
    """Of the arrays, see `prepared.digest`: a run's hash names the bytes before they are here."""

    def prepare(self, name: str, raw: Path, mirrors: list[str]) -> "Arrays":
        """Fetch what is missing into `raw`, verify it, and return the arrays."""
        prepare: Prepare = import_module(f"vaebench.data.{self.module}").prepare
        return prepare(name, raw, mirrors)


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
}
