"""Colour images for the classifier and the measures, which are made for grey ones.

Features are taken of the three planes of an image, red, green and blue, as one grey image in which
they stand one below the other. Sharpness and components are those of the luminance.
"""

from torch import Tensor

from vaebench.quality.measures import Reference, compare, components, sharpness
from vaebench.runs.record import Quality

GAP = 2
"""The black rows between two planes. With them, no convolution of the classifier's first layer sees
two planes at once."""
LUMINANCE = (0.299, 0.587, 0.114)
"""The weights of red, green and blue, by ITU-R BT.601."""


def as_grey(images: Tensor) -> Tensor:
    """Images as the classifier takes them, shape [N, height, width].

    Args:
        images: shape [N, height, width], which are returned as they are, or [N, height, width, 3],
            whose planes then stand one below the other.
    """
    if images.ndim == 3:
        return images
    count, height, width, planes = images.shape
    stacked = images.new_zeros(count, planes * (height + GAP) - GAP, width)
    for plane in range(planes):
        start = plane * (height + GAP)
        stacked[:, start : start + height] = images[..., plane]
    return stacked


def luminance(images: Tensor) -> Tensor:
    """The brightness of images, shape [N, height, width]. Grey images are returned as they are."""
    return images if images.ndim == 3 else images @ images.new_tensor(LUMINANCE)


def compare_images(reference: Reference, test: Tensor, images: Tensor) -> Quality:
    """As `measures.compare`, for images in colour too.

    Args:
        reference: of the test images, as the classifier takes them.
        test: the test images, in [0, 1], shape [N, height, width(, 3)].
        images: those that are compared with them, of the same kind.
    """
    found = compare(reference, as_grey(images))
    if images.ndim == 3:
        return found
    shown, real = (luminance(each[: found.images]) for each in (images, test))
    return found.model_copy(
        update={"sharpness": sharpness(shown) / sharpness(real), "components": components(shown)}
    )
