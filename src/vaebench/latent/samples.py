"""Samples of a run by where z is drawn from: prior, fitted Gaussian or aggregated posterior.

The images are the decoder's means, and are compared with test images by the features of a
classifier, as in `quality/`.
"""

import json
from pathlib import Path

import torch
from torch import Tensor

from vaebench.data.prepared import Arrays, data_digest, load
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.evidence.density import Density
from vaebench.experiment.latent import PRIORS
from vaebench.files import digest_bytes
from vaebench.latent.codes import Codes, unwhitened
from vaebench.latent.mixture import Moments, sample
from vaebench.numerics.streams import generator
from vaebench.quality.classifier import load_classifier, to_images, train_classifier
from vaebench.quality.evaluate import make_classifier
from vaebench.quality.measures import Reference, compare
from vaebench.runs.latent_record import Sampled
from vaebench.runs.record import ClassifierRecord, read_as
from vaebench.runs.sources import quality_digest
from vaebench.runs.store import locked


def drawn_codes(
    train: Codes, fitted: Moments, count: int, seed: int, device: torch.device
) -> dict[str, Tensor]:
    """Whitened codes from each of `PRIORS`, float64 of shape [count, latent].

    They share their noise, so that their samples are alike where the distributions are.
    """
    random = generator(seed, "samples", "latent samples", device)
    noise = torch.empty(count, len(fitted.mean), dtype=torch.float64, device=device)
    noise.normal_(generator=random)
    images = torch.randint(train.count, (count,), generator=random, device=device)
    lower = torch.linalg.cholesky(fitted.covariance)
    found = (noise, fitted.mean + noise @ lower.T, sample(train, images, noise))
    return dict(zip(PRIORS, found, strict=True))


def pixels_of(density: Density, codes: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The decoder's means at whitened codes, in [0, 1], shape [count, *shape]."""
    z = unwhitened(codes, density.prior).to(density.dtype)
    images = density.vae.decode_pixels(density.parameters, z[None])[0]
    return images.reshape(-1, *shape)


def reference_for(dataset: str, data: Path, store: Path | None, device: torch.device) -> Reference:
    """The test images of a dataset with its classifier's features.

    Args:
        dataset: the name of the dataset.
        data: the folder with `prepared/`.
        store: keeps the classifier for other runs. None: it is trained in memory.
        device: where to compute.

    Raises:
        UserError: the dataset has no labels, is in colour or too small for a classifier.
    """
    if not DATASETS[dataset].is_labelled:
        raise UserError(f"dataset '{dataset}' has no labels that a classifier could learn")
    arrays = load(data / "prepared", dataset)
    if store is None:
        classifier = train_classifier(f"classifier {dataset}", _grey(dataset, arrays), device)
    else:
        parts = [data_digest(data / "prepared", dataset), quality_digest(), device.type]
        key = digest_bytes(json.dumps([dataset, *parts]).encode())
        record = store / "classifiers" / key / "classifier.json"
        with locked(store, [f"classifier-{key}"]):
            if not record.exists():
                make_classifier(dataset, data, record, device)
        known = read_as(ClassifierRecord, record, f"remove {record.parent}")
        classifier = load_classifier(record.parent, known.weights, device)
    train, test = (to_images(x, device) for x in (arrays.train_images, arrays.test_images))
    return Reference.of(classifier, train, test)


def sampled(
    density: Density, codes: dict[str, Tensor], reference: Reference, train: Tensor
) -> Sampled:
    """The quality of samples at whitened codes of each of `PRIORS`.

    Args:
        density: of the run.
        codes: from `drawn_codes`.
        reference: from `reference_for`.
        train: as many training images, in [0, 1], for the floor.
    """
    shape = tuple(reference.images.shape[1:])
    quality = {name: compare(reference, pixels_of(density, z, shape)) for name, z in codes.items()}
    return Sampled(**quality, floor=compare(reference, train))


def _grey(dataset: str, arrays: Arrays) -> Arrays:
    if arrays.train_images.ndim == 4:
        raise UserError(f"dataset '{dataset}' is in colour, and the classifier is for grey images")
    return arrays
