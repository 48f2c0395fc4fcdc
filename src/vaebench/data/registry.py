"""The registry of datasets: ours, those of a config (`described`), and those of plugins.

A dataset is a function that returns its `Arrays`. `@dataset` registers one, as for a plugin:

    @dataset("my blobs, 500 + 100 images of 8x8")
    def blobs() -> Arrays: ...

Ours are in a module each, with a function `prepare`, and in the table below. Planning a workflow
reads this registry. So the module of one of ours is imported only to prepare it.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vaebench.errors import UserError
from vaebench.files import digest_file
from vaebench.parameters import from_one_file

if TYPE_CHECKING:
    from vaebench.data.prepared import Arrays

Make = Callable[..., "Arrays"]
"""Makes the arrays of a dataset. It has those of these arguments that it needs, by their names.

Args:
    name: the name of the dataset.
    raw: its folder for raw files.
    mirrors: folders or URLs with copies of the raw files.
    unfinished: a folder for unfinished work, from which an interrupted preparation continues.
"""
ARGUMENTS = ("name", "raw", "mirrors", "unfinished")

_STAND_IN = "images that are not described here"
F = TypeVar("F", bound=Make)


@dataclass(frozen=True)
class Dataset:
    """A registered dataset."""

    description: str
    make: Make
    digest: str | None = None
    """The digest of the arrays, see `prepared.digest`. With it, the hash of a run is known before
    the dataset is prepared. None if it is known only after that, see `prepared.data_digest`."""
    is_labelled: bool = True
    """Whether the dataset has labels. Without labels, all labels in its arrays are 0."""
    is_public: bool = True
    """Whether its images, and figures that show them, may be shared and published."""
    dynamic_binarisation: bool = False
    """Whether training draws each pixel of a batch anew, white with the probability of its grey
    value. The test images are black and white already."""
    source: Callable[[], str | None] | None = None
    """Says how the source of the data is now, as a text that changes with it. None if the source is
    not here. If it has changed, the dataset has to be prepared again. Datasets without it have a
    source that does not change."""
    described: object = None
    """For a dataset of a config, its description there."""
    is_embedded: bool = False
    """Whether it is prepared from what is installed, in moments: no file is read or fetched."""

    def prepare(self, name: str, raw: Path, mirrors: list[str], unfinished: Path) -> "Arrays":
        """Call `make` with those of the arguments that it takes."""
        return call(self.make, name=name, raw=raw, mirrors=mirrors, unfinished=unfinished)


def call(make: Make, **arguments: Any) -> "Arrays":
    """Call a function with those of the arguments that it takes by name."""
    taken = inspect.signature(make).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
        return make(**arguments)
    return make(**{p.name: arguments[p.name] for p in taken if p.name in arguments})


def dataset(
    description: str,
    *,
    digest: str | None = None,
    is_labelled: bool = True,
    is_public: bool = True,
    dynamic_binarisation: bool = False,
) -> Callable[[F], F]:
    """Register the decorated function under its own name, with hyphens for underscores.

    The function returns `Arrays`, and takes any of the arguments of `Make`. The dataset is prepared
    again when the file of the function changes. The other arguments are those of `Dataset`.

    Raises:
        UserError: there is a dataset of that name, or the function has an argument that no dataset
            gets.
    """

    def add(make: F) -> F:
        name = make.__name__.replace("_", "-")
        if name in DATASETS and from_one_file(DATASETS[name].make, make):
            del DATASETS[name]  # Its file is loaded again.
        for parameter in inspect.signature(make).parameters.values():
            is_given = parameter.name in ARGUMENTS or parameter.kind in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            )
            if not is_given and parameter.default is parameter.empty:
                raise UserError(
                    f"dataset '{name}': its function needs '{parameter.name}', and can get only: "
                    f"{', '.join(ARGUMENTS)}"
                )
        register(
            name,
            Dataset(
                description,
                make,
                digest,
                is_labelled,
                is_public,
                dynamic_binarisation,
                lambda: _digest_of_file(make),
            ),
        )
        return make

    return add


def register(name: str, entry: Dataset) -> None:
    """Add a dataset to the registry.

    Raises:
        UserError: there is a dataset of that name.
    """
    if name in DATASETS and not is_stand_in(name):
        raise UserError(
            f"there is a dataset '{name}' already ({DATASETS[name].description}): choose another "
            "name"
        )
    DATASETS[name] = entry


def stand_in(name: str, digest: str) -> None:
    """Register a dataset that a record names and nothing here describes, to read what was trained.

    Images of one's own are known by their name only in the process that was given their place. They
    may be prepared all the same. `register` replaces it.

    Args:
        name: of the dataset, which is not registered.
        digest: of its prepared arrays, by the record.
    """

    def make() -> "Arrays":
        raise UserError(
            f"dataset '{name}' cannot be prepared, since nothing here says what it is: give its "
            "files or its config first"
        )

    DATASETS[name] = Dataset(_STAND_IN, make, digest, is_public=False)


def is_stand_in(name: str) -> bool:
    """Whether all that is known of a dataset is what a record of a run says."""
    return DATASETS[name].description == _STAND_IN


def check_known(name: str) -> None:
    """Check that there is a dataset of that name.

    Raises:
        UserError: there is none.
    """
    if name not in DATASETS:
        raise UserError(f"there is no dataset '{name}'; there are: {', '.join(DATASETS)}")


def _digest_of_file(make: Make) -> str | None:
    try:
        return digest_file(Path(inspect.getfile(make)))
    except (OSError, TypeError):
        return None


def of_module(module: str) -> Make:
    """The function `prepare` of a module of `vaebench.data`, imported only when it is called."""

    def make(**arguments: Any) -> "Arrays":
        return call(import_module(f"vaebench.data.{module}").prepare, **arguments)

    return make


DATASETS: dict[str, Dataset] = {
    "mnist": Dataset(
        "MNIST handwritten digits, 60,000 + 10,000 images of 28x28",
        of_module("idx"),
        "99930b4ecaed1c7c1bc31488f609a03251e7534c3fd33f04cffe2bbc6ac340bb",
    ),
    "fashion-mnist": Dataset(
        "Fashion-MNIST, 60,000 + 10,000 images of 28x28",
        of_module("idx"),
        "ab5573ac3fe143094a72a8e55110a4244309364d83af34f7c331a2f4c4da2746",
    ),
    "digits": Dataset(
        "the 1,797 handwritten digits that scikit-learn ships, brought to 28x28; no download",
        of_module("digits"),
        "776f6268c8e944d6bfca681bae564253b91aa340e36c1acc8af6aa57612bbcad",
        is_embedded=True,
    ),
    "binarized-mnist": Dataset(
        "MNIST, 60,000 + 10,000 images of 28x28, with pixels drawn once as black or white by their "
        "grey values; bounds are of log-likelihoods",
        of_module("binarised"),
        "8fd2aed04a5f281ad1404ab1a3e25f1c97dbcc4e07335b71395bf793e6d81e73",
    ),
    "binarized-mnist-dynamic": Dataset(
        "as binarized-mnist, with training images that are drawn anew in each batch; bounds are of "
        "log-likelihoods",
        of_module("binarised"),
        "f0e750f9557d268ec5ac3278e0668b0edef28c53790112fb0c63d0c94cc41189",
        dynamic_binarisation=True,
    ),
    "binarized-fashion-mnist-dynamic": Dataset(
        "as binarized-mnist-dynamic, of Fashion-MNIST",
        of_module("binarised"),
        "5fa6292a87d455ab926c1816e72715316751ba9fc6ba622b6af09b339e576569",
        dynamic_binarisation=True,
    ),
    "celeba": Dataset(
        "CelebA faces, 162,770 + 19,867 images (the validation split) of 64x64 in colour",
        of_module("celeba"),
        is_labelled=False,
        is_public=False,
    ),
    "celeba-10k": Dataset(
        "the first 10,000 CelebA faces, 9,000 + 1,000 images of 64x64 in colour",
        of_module("celeba"),
        "04fe392a6f83489e451a9dd1279cf26b92b8519156223d8e09354ddbb812aafe",
        is_labelled=False,
        is_public=False,
    ),
    "celeba-folder": Dataset(
        "faces of a folder or zip of your own in CelebA's layout, brought to 64x64 in colour",
        of_module("celeba"),
        is_labelled=False,
        is_public=False,
    ),
    "faces": Dataset(
        "512 + 64 drawn faces of 32x32 in colour, for trying what CelebA is for; no download",
        of_module("faces"),
        "97eafded06e9110cb7c41497410e628f503d072c75f544e9357e0fb06ae3449d",
        is_labelled=False,
        is_embedded=True,
    ),
}
