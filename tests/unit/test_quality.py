"""Sample quality: the classifier, each measure against its definition, and its records."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.latent.samples import reference_for
from vaebench.quality import classifier as classifiers
from vaebench.quality import evaluate
from vaebench.quality.classifier import (
    Classifier,
    load_classifier,
    save_classifier,
    to_images,
    train_classifier,
)
from vaebench.quality.evaluate import provide_classifier
from vaebench.quality.measures import (
    Reference,
    compare,
    components,
    frechet_distance,
    kernel_distance,
    neighbours,
    sharpness,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(digits: Arrays) -> Classifier:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "LEAST_STEPS", 150)
        return train_classifier("test", digits, CPU)


def features(seed: int, count: int = 300, shift: float = 0.0) -> Tensor:
    return shift + torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))


def test_the_classifier_learns_and_repeats(
    trained: Classifier, digits: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test, labels = to_images(digits.test_images, CPU), torch.from_numpy(digits.test_labels)
    assert trained.accuracy(test, labels) > 0.9
    train_features = trained.features(to_images(digits.train_images, CPU))
    excited = train_features.std(0) > 0
    assert excited.sum() > 30
    assert train_features.abs().max() < 30, "a feature that hardly any image excites counts"
    torch.testing.assert_close(train_features.mean(0), torch.zeros(64), atol=1e-4, rtol=0)
    torch.testing.assert_close(train_features.std(0)[excited], torch.ones(int(excited.sum())))
    digest = save_classifier(trained, tmp_path)
    monkeypatch.setattr(classifiers, "LEAST_STEPS", 150)
    assert save_classifier(train_classifier("again", digits, CPU), tmp_path) == digest
    again = load_classifier(tmp_path, digest, CPU)
    assert torch.equal(again.features(test), trained.features(test))
    with pytest.raises(UserError, match="not the file that its record names"):
        load_classifier(tmp_path, "other", CPU)


def test_the_frechet_distance_is_that_of_two_gaussians() -> None:
    real, fake = features(0), 2 * features(1, shift=0.5)
    a, b = real.double().numpy(), fake.double().numpy()
    root = sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(
        np.cov(a, rowvar=False) + np.cov(b, rowvar=False) - 2 * root
    )
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-6)


def test_the_kernel_distance_is_an_unbiased_squared_mmd() -> None:
    def mmd(x: Tensor, y: Tensor) -> float:
        def kernel(p: Tensor, q: Tensor) -> Tensor:
            return (p @ q.T / 8 + 1) ** 3

        off = ~torch.eye(len(x), dtype=torch.bool)
        within = kernel(x, x)[off].mean() + kernel(y, y)[off].mean()
        return float(within - 2 * kernel(x, y).mean())

    real, fake = features(0).double(), features(1, shift=1.0).double()
    # Over random halves: near the value on all, and the same every time.
    found = kernel_distance(real, fake)
    assert found == pytest.approx(mmd(real, fake), rel=0.1)
    assert found == kernel_distance(real, fake)
    assert abs(kernel_distance(real, features(2).double())) < 0.05 * found


def test_neighbourhoods_tell_missing_modes_from_bad_samples() -> None:
    left, right = features(0, 200, -20.0), features(1, 200, 20.0)
    both = torch.cat([left, right]).numpy()
    one_mode = neighbours(both, features(2, 400, -20.0).numpy())
    assert one_mode["precision"] > 0.9
    assert one_mode["recall"] == pytest.approx(0.5, abs=0.1)
    assert one_mode["coverage"] == pytest.approx(0.5, abs=0.1)
    bad = neighbours(both, features(3, 400, 200.0).numpy())
    assert bad == {"precision": 0.0, "recall": 0.0, "density": 0.0, "coverage": 0.0}


def test_components_and_sharpness() -> None:
    images = torch.zeros(2, 28, 28)
    images[0, 4:8, 4:8] = 1.0
    images[0, 8, 8] = 1.0  # touches by a corner
    images[1, 4:8, 4:8] = images[1, 20:24, 4:8] = 1.0
    images[1, 15, 15] = 0.4  # too faint
    assert components(images) == 1.5
    assert components(0.1 * images) == 1.5  # against an image's own brightest pixel
    square = torch.zeros(1, 28, 28)
    square[0, 4:8, 4:8] = 1.0
    assert sharpness(square) == pytest.approx(16 / 16)  # the length of its edge over its area
    blurred = torch.nn.functional.avg_pool2d(square[:, None], 3, 1, 1)[:, 0]
    assert sharpness(blurred) < 0.7 * sharpness(square)
    assert sharpness(torch.zeros(1, 28, 28)) == 0.0


def test_training_images_are_better_than_a_mean_image(trained: Classifier, digits: Arrays) -> None:
    train, test = to_images(digits.train_images, CPU), to_images(digits.test_images, CPU)
    reference = Reference.of(trained, train, test)
    floor = compare(reference, train[:297])
    mean = compare(reference, train.mean(0).expand(297, -1, -1))
    assert floor.images == mean.images == 297
    assert floor.mean_image_distance == pytest.approx(1.0, abs=0.1)
    assert mean.mean_image_distance == pytest.approx(0.0, abs=1e-6)
    assert floor.kid < 0.2 * mean.kid
    assert floor.fid < 0.2 * mean.fid
    assert floor.coverage > 0.8 > mean.coverage
    assert floor.sharpness == pytest.approx(1.0, abs=0.1)
    assert mean.sharpness < 0.8


ALONE = """
import sys
import torch
from vaebench.quality.metrics_import import import_metrics
import_metrics()
from vaebench.quality.measures import frechet_distance, kernel_distance
features = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
measured = kernel_distance(features, features + 1), frechet_distance(features, features + 1)
assert "torchmetrics.image.kid" in sys.modules
heavy = {"torchvision", "torch._dynamo", "scipy.signal", "torchmetrics.functional"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
print(*map(repr, measured))
import torchmetrics
from torchmetrics.image.kid import KernelInceptionDistance
assert issubclass(KernelInceptionDistance, torchmetrics.Metric)
import torchvision.datasets.mnist
"""


def test_samples_are_measured_without_all_other_metrics() -> None:
    command = [sys.executable, "-c", ALONE]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    features = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    expected = kernel_distance(features, features + 1), frechet_distance(features, features + 1)
    assert tuple(map(float, done.stdout.split())) == expected


def test_a_classifier_is_trained_once_for_the_tier_and_for_latent_measures(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, record = tmp_path / "store", tmp_path / "tier" / "classifier.json"
    monkeypatch.setattr(classifiers, "LEAST_STEPS", 30)
    provide_classifier("digits", data_root, record, CPU, store)
    (kept,) = (store / "classifiers").glob("*/classifier.json")
    assert kept.read_bytes() == record.read_bytes()
    weights = record.with_name(classifiers.WEIGHTS)
    trained = weights.read_bytes()

    def no_training(*_: object) -> None:
        raise AssertionError("a classifier is trained again")

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "train_classifier", no_training)
        assert reference_for("digits", data_root, store, CPU).features.shape[1] == 64
        weights.unlink()
        provide_classifier("digits", data_root, record, CPU, store)
    assert weights.read_bytes() == trained
    # One that is damaged is trained again, to the same bytes.
    kept.with_name(classifiers.WEIGHTS).write_bytes(trained[:-1] + b"\0")
    provide_classifier("digits", data_root, record, CPU, store)
    assert weights.read_bytes() == trained
