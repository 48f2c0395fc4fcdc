"""The images that a run was trained on."""

from os import PathLike
from pathlib import Path

from vaebench.data.prepared import Arrays, load, manifest_path
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.paths import DATA


def load_data(name: str, data: str | PathLike[str] = DATA) -> Arrays:
    """The images and labels of a dataset.

    They are read from the prepared dataset. Without it, an embedded dataset is made in memory.

    Args:
        name: the name of the dataset. `digits` and `faces` are embedded.
        data: the folder with `prepared/`.

    Returns:
        An object with `train_images` and `test_images`, uint8 of shape [N, height, width] or
        [N, height, width, colour], and `train_labels` and `test_labels`, uint8 of shape [N].

    Raises:
        UserError: the dataset is unknown, it is neither prepared in this folder nor embedded, or
            its files are damaged.
    """
    prepared = Path(data) / "prepared"
    if name not in DATASETS:
        raise UserError(f"there is no dataset '{name}'; there are: {', '.join(DATASETS)}")
    if manifest_path(prepared, name).exists():
        return load(prepared, name)
    if DATASETS[name].is_embedded:
        return DATASETS[name].prepare(name, Path(), [], Path())
    raise UserError(
        f"the images of '{name}' are needed, and {prepared} does not have them: prepare them with "
        f"`vaebench data {name} --root {data}`, or name the folder that has them (data=...)"
    )
