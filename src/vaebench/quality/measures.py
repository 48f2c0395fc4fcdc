"""Measures that compare images, such as samples, with the test images of a dataset."""

import contextlib
import io
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from vaebench.data.torchvision_import import import_torchvision
from vaebench.quality.classifier import Classifier
from vaebench.runs.record import Quality

KID_SUBSETS, KID_SUBSET_SIZE = 20, 1000
NEIGHBOURS = 5
"""k of precision, recall, density and coverage, as Naeem et al. recommend."""
PRDC_IMAGES = 5000
"""The largest number of images for precision, recall, density and coverage, which need the distance
of every pair."""
INK = 0.5
"""Pixels above this share of an image's brightest pixel are ink. The others are background."""


@dataclass(frozen=True)
class Reference:
    """The test images of a dataset, with quantities that every comparison needs."""

    classifier: Classifier
    images: Tensor
    """In [0, 1], shape [N, height, width]."""
    features: Tensor
    """The features of these images, shape [N, 64]."""
    mean_image: Tensor
    """The mean image of the training set, shape [height, width]."""

    @staticmethod
    def of(classifier: Classifier, train: Tensor, test: Tensor) -> "Reference":
        """The reference with the images `test`, for a classifier that was trained on `train`."""
        return Reference(classifier, test, classifier.features(test), train.mean(0))


def compare(reference: Reference, images: Tensor) -> Quality:
    """Compare images in [0, 1], shape [N, height, width], with the same number of test images."""
    count = min(len(images), len(reference.images))
    images, test = images[:count], reference.images[:count]
    features, test_features = reference.classifier.features(images), reference.features[:count]
    mean = reference.mean_image
    return Quality(
        images=count,
        kid=kernel_distance(test_features, features),
        fid=frechet_distance(test_features, features),
        **neighbours(test_features[:PRDC_IMAGES].numpy(), features[:PRDC_IMAGES].numpy()),
        mean_image_distance=float((images - mean).square().mean() / (test - mean).square().mean()),
        sharpness=sharpness(images) / sharpness(test),
        components=components(images),
    )


def kernel_distance(real: Tensor, fake: Tensor) -> float:
    """KID of features [N, d]: the squared MMD of a cubic kernel, averaged over random subsets."""
    import_torchvision()
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(KID_SUBSET_SIZE, len(real) // 2)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # It warns that it keeps all features, which is intended.
        torch.manual_seed(0)
        metric = KernelInceptionDistance(_AsTheyAre(real), KID_SUBSETS, size)
        metric.update(real.double(), real=True)
        metric.update(fake.double(), real=False)
        return float(metric.compute()[0])


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """FID of features [N, d]: the Frechet distance of two Gaussians fitted to them."""
    import_torchvision()
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(_AsTheyAre(real)).set_dtype(torch.float64)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return float(metric.compute())


def neighbours(real: NDArray[np.float32], fake: NDArray[np.float32]) -> dict[str, float]:
    """Precision, recall, density and coverage of features [N, d]."""
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):  # It prints the number of images.
        values = compute_prdc(real, fake, NEIGHBOURS)
    return {name: float(value) for name, value in values.items()}


def sharpness(images: Tensor) -> float:
    """The mean over images of |grad x|^2 / |x|^2, with differences of neighbours as gradient."""
    across = images.diff(dim=2).square().sum((1, 2))
    down = images.diff(dim=1).square().sum((1, 2))
    energy = images.square().sum((1, 2))
    inked = energy > 0
    return float(((across + down)[inked] / energy[inked]).mean()) if inked.any() else 0.0


def components(images: Tensor) -> float:
    """The mean number of connected components (8 neighbours) of an image's ink."""
    square = np.ones((3, 3))
    inked = images > INK * images.amax((1, 2), keepdim=True)
    counts = [ndimage.label(image, square)[1] for image in inked.cpu().numpy()]
    return float(np.mean(counts))


class _AsTheyAre(nn.Module):
    """An identity network. With it, a metric that expects images takes features instead."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.num_features = features.shape[1]

    def forward(self, features: Tensor) -> Tensor:
        return features
