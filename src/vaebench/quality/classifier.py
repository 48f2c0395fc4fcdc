"""A small convolutional classifier, whose features are used to measure sample quality.

It has two 3x3 convolutions of stride 2 (16 and 32 channels), a layer of 64 features and a linear
layer to the labels, with ReLU between them. It is trained once for each dataset, always from the
same random streams. Features are standardised on the training set, so that all have the same scale.
"""

from dataclasses import dataclass
from math import ceil
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn.functional import conv2d, cross_entropy

from vaebench.data.prepared import Arrays, Bytes
from vaebench.errors import UserError
from vaebench.files import digest_bytes, digest_file, write_atomically
from vaebench.numerics.adam import Moments, adam_step
from vaebench.numerics.streams import generator, order
from vaebench.progress import TrainingProgress

FEATURES = 64
CHANNELS = (16, 32)
BATCH, LEARNING_RATE = 100, 0.001
LEAST_EPOCHS, LEAST_STEPS = 3, 1500
LEAST_EXCITED = 0.01
"""A feature is used if it is positive for at least this share of the training images."""
IMAGES_AT_ONCE = 1000
SEED = 0

WEIGHTS = "classifier.safetensors"


@dataclass(frozen=True)
class Classifier:
    """A trained classifier."""

    parameters: dict[str, Tensor]

    def features(self, images: Tensor) -> Tensor:
        """Standardised activations before the last layer, [N, 64], on the CPU.

        Args:
            images: in [0, 1], shape [N, height, width].
        """
        raw = _in_blocks(self.parameters, images)
        mean, std = self.parameters["standard.mean"], self.parameters["standard.std"]
        return ((raw - mean) / std).cpu()

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """The share of images that it classifies correctly."""
        logits = _logits(self.parameters, _in_blocks(self.parameters, images))
        return float((logits.argmax(1) == labels).float().mean())


def to_images(images: Bytes, device: torch.device) -> Tensor:
    """Convert grey values 0..255 to pixels in [0, 1], float32 of shape [N, height, width]."""
    return torch.from_numpy(images).to(device).float().div_(255)


def train_classifier(label: str, data: Arrays, device: torch.device) -> Classifier:
    """Train a classifier on the training set by the cross entropy of its labels.

    Args:
        label: the name of the work in progress messages.
        data: the dataset.
        device: where to train.
    """
    images, labels = to_images(data.train_images, device), torch.from_numpy(data.train_labels)
    labels = labels.long().to(device)
    parameters = _initialise(images.shape[1:], int(labels.max()) + 1, device)
    tensors = list(parameters.values())
    moments = Moments.zero(tensors)
    steps = len(images) // BATCH
    epochs = max(LEAST_EPOCHS, ceil(LEAST_STEPS / steps))
    with TrainingProgress(label, epochs) as progress:
        for epoch in range(epochs):
            rows = order([SEED], epoch, len(images))[0].to(device)
            for batch in rows[: steps * BATCH].split(BATCH):
                logits = _logits(parameters, _features(parameters, images[batch]))
                log_likelihood = -cross_entropy(logits, labels[batch])
                gradients = torch.autograd.grad(log_likelihood, tensors)
                adam_step(tensors, gradients, moments, LEARNING_RATE)
            progress.report(epoch + 1, None, None)
    trained = {name: tensor.detach() for name, tensor in parameters.items()}
    raw = _in_blocks(trained, images)
    # A feature that is zero for almost all images has a deviation near 0. Dividing by it would give
    # huge values for the few other images. An infinite deviation removes the feature.
    is_used = (raw > 0).float().mean(0) >= LEAST_EXCITED
    std = torch.where(is_used, raw.std(0), torch.inf)
    trained |= {"standard.mean": raw.mean(0), "standard.std": std}
    return Classifier(trained)


def save_classifier(classifier: Classifier, folder: Path) -> str:
    """Write the weights into `folder` and return their SHA-256."""
    content = save({name: t.cpu().contiguous() for name, t in classifier.parameters.items()})
    write_atomically(folder / WEIGHTS, content)
    return digest_bytes(content)


def load_classifier(folder: Path, digest: str, device: torch.device) -> Classifier:
    """Read the weights that have this SHA-256.

    Raises:
        UserError: they are missing or have another digest.
    """
    path = folder / WEIGHTS
    if not path.exists() or digest_file(path) != digest:
        raise UserError(
            f"{path} is missing or not the file that its record names: remove {folder} and run "
            "the tier again"
        )
    return Classifier({name: t.to(device) for name, t in load_file(path).items()})


def _initialise(shape: torch.Size, labels: int, device: torch.device) -> dict[str, Tensor]:
    """Glorot-uniform weights and zero biases."""
    height, width = (ceil(ceil(size / 2) / 2) for size in shape)
    shapes = {
        "conv1": (CHANNELS[0], 1, 3, 3),
        "conv2": (CHANNELS[1], CHANNELS[0], 3, 3),
        "features": (FEATURES, CHANNELS[1] * height * width),
        "labels": (labels, FEATURES),
    }
    parameters = {}
    for name, size in shapes.items():
        inputs, outputs = size[1] * torch.Size(size[2:]).numel(), size[0]
        limit = (6 / (inputs + outputs * torch.Size(size[2:]).numel())) ** 0.5
        weights = torch.empty(size).uniform_(
            -limit, limit, generator=generator(SEED, "weights", f"classifier.{name}")
        )
        parameters[f"{name}.weight"] = weights.to(device).requires_grad_()
        parameters[f"{name}.bias"] = torch.zeros(outputs, device=device).requires_grad_()
    return parameters


def _in_blocks(parameters: dict[str, Tensor], images: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([_features(parameters, x) for x in images.split(IMAGES_AT_ONCE)])


def _features(parameters: dict[str, Tensor], images: Tensor) -> Tensor:
    values = images[:, None]
    for name in ("conv1", "conv2"):
        weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        values = conv2d(values, weight, bias, stride=2, padding=1).relu()
    weight, bias = parameters["features.weight"], parameters["features.bias"]
    return (values.flatten(1) @ weight.T + bias).relu()


def _logits(parameters: dict[str, Tensor], features: Tensor) -> Tensor:
    return features @ parameters["labels.weight"].T + parameters["labels.bias"]
