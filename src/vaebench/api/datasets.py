"""The images that a run was trained on, for what depends on them."""

from pathlib import Path

from vaebench.data.prepared import Arrays, load, manifest_path
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError


def arrays_of(name: str, data: Path) -> Arrays:
    """A dataset: the prepared one, or else one that needs no files, made in memory.

    Args:
        name: the dataset.
        data: the folder with `prepared/`.

    Raises:
        UserError: it is not prepared in this folder, and not made in memory; or it is damaged.
    """
    if manifest_path(data / "prepared", name).exists():
        return load(data / "prepared", name)
    if DATASETS[name].is_embedded:
        return DATASETS[name].prepare(name, Path(), [], Path())
    raise UserError(
        f"the training images of '{name}' are needed, and {data / 'prepared'} does not have them: "
        f"prepare them with `vaebench data {name} --root {data}`, name the folder that has them "
        "(data=...), or give the images (images=...)"
    )
