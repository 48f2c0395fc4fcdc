"""The training images that runs with the setting `held_out` do not train on."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vaebench.errors import UserError
from vaebench.numerics.streams import generator

Images = NDArray[np.uint8]


def split(images: Images, share: float) -> tuple[Images, Images]:
    """Divide the training images into those that are trained on and those that are held out.

    The split depends on the number of images and on the share alone, not on the seed of a run. So
    runs that are compared are stopped by the same images, as they are tested by the same ones;
    what differs between seeds is what it is elsewhere; and the runs of a pack share their images. A
    larger share holds out the images of a smaller one and others.

    Args:
        images: uint8 of shape [N, ...].
        share: of the images that is held out, above 0 and below 1. It is rounded to whole images.

    Returns:
        The two parts, each in the order of the dataset.

    Raises:
        UserError: a part would have no image.
    """
    count, held = len(images), held_out_count(len(images), share)
    if not 0 < held < count:
        raise UserError(
            f"held_out: {share:g} of {count} training images is {held} of them: both parts need "
            "one at least"
        )
    order: NDArray[Any] = torch.randperm(count, generator=generator(0, "order", "held-out")).numpy()
    return images[np.sort(order[held:])], images[np.sort(order[:held])]


def held_out_count(count: int, share: float | None) -> int:
    """How many of so many training images are held out."""
    return 0 if share is None else round(share * count)
