"""What measuring sample quality needs of a dataset. It is asked for in planning, without torch."""

from pathlib import Path

import numpy as np

from vaebench.data.prepared import Arrays, Bytes, unchecked
from vaebench.errors import UserError
from vaebench.experiment.tier import Tier

LEAST_TRAIN = 100
"""The size of a batch of the classifier, `classifier.BATCH`."""
LEAST_TEST = 7
"""One more than the images among which `measures.NEIGHBOURS` are sought."""
IMAGES_AT_ONCE = 1000


def check_measurable(tier: Tier, prepared: Path) -> None:
    """Check the datasets of a tier on which samples are measured, as far as they are prepared.

    Args:
        tier: the tier.
        prepared: the folder of prepared datasets.

    Raises:
        UserError: samples cannot be measured with a dataset. The text says what it lacks.
    """
    for experiment in tier.experiments:
        if not experiment.sample_quality:
            continue
        for dataset in dict.fromkeys(cell.shared.dataset for cell in experiment.cells):
            arrays = unchecked(prepared, dataset)
            if arrays is not None:
                check_arrays(f"experiment '{experiment.name}': ", dataset, arrays)


def check_arrays(where: str, dataset: str, arrays: Arrays) -> None:
    """Check that samples can be measured with a dataset.

    Args:
        where: what asks for it, for the message.
        dataset: its name.
        arrays: its images and labels.

    Raises:
        UserError: they cannot. The text says what it lacks.
    """
    if lacking := _lacking(arrays):
        raise UserError(
            f"{where}sample_quality: dataset '{dataset}' has {lacking}: leave sample_quality out"
        )


def _lacking(arrays: Arrays) -> str | None:
    train, test = arrays.train_images, arrays.test_images
    if len(train) < LEAST_TRAIN:
        return (
            f"{len(train)} training images, and the classifier whose features measure samples "
            f"needs {LEAST_TRAIN} or more"
        )
    if len(test) < LEAST_TEST:
        return f"{len(test)} test images, and samples are compared with {LEAST_TEST} or more"
    if len(np.unique(arrays.train_labels)) < 2:
        return "one class of training images, and the classifier needs two or more"
    if all(_alike(part, test[:1]) for part in _parts(test)):
        return "test images that are all alike, and samples are measured by how much they vary"
    if all(_alike(part, part[:, :1, :1]) for part in _parts(test)):
        return "test images of one value each, and samples are measured by their edges too"
    return None


def _parts(images: Bytes) -> list[Bytes]:
    return [images[k : k + IMAGES_AT_ONCE] for k in range(0, len(images), IMAGES_AT_ONCE)]


def _alike(images: Bytes, value: Bytes) -> bool:
    return bool((images == value).all())
