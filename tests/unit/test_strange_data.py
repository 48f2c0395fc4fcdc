"""Data that are unusual: each is trained on and measured, or refused before training."""

from math import ceil, sqrt

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.packs import MakeSettings
from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.execution.check_objective import check_objective, check_size
from vaebench.experiment.settings import Settings
from vaebench.quality.classifier import BATCH, Classifier
from vaebench.quality.colour import GAP, as_grey, compare_images, luminance
from vaebench.quality.measures import NEIGHBOURS, Reference, compare
from vaebench.quality.needs import LEAST_TEST, LEAST_TRAIN, check_arrays
from vaebench.training.final_metrics import final_metrics
from vaebench.training.loop import train
from vaebench.training.pack import Pack, init_state

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(0)


def images(count: int, *shape: int) -> NDArray[np.uint8]:
    return RANDOM.integers(0, 256, (count, *shape), np.uint8)


def dataset(train: NDArray[np.uint8], test: NDArray[np.uint8], classes: int = 1) -> Arrays:
    labels = [(np.arange(len(each)) % classes).astype(np.uint8) for each in (train, test)]
    return Arrays(train, labels[0], test, labels[1])


STRANGE = {
    "one class": dataset(images(60, 8, 8), images(7, 8, 8)),
    "a last batch of one": dataset(images(41, 8, 8), images(1, 8, 8), 2),
    "constant": dataset(np.full((60, 8, 8), 7, np.uint8), np.full((7, 8, 8), 7, np.uint8), 2),
    "black": dataset(np.zeros((60, 8, 8), np.uint8), np.zeros((7, 8, 8), np.uint8)),
    "1x1": dataset(images(60, 1, 1), images(7, 1, 1), 2),
    "512x512": dataset(images(20, 512, 512), images(2, 512, 512), 2),
    "four images": dataset(images(4, 8, 8), images(1, 8, 8)),
    "colour": dataset(images(60, 8, 8, 3), images(7, 8, 8, 3), 256),
    "oblong": dataset(images(60, 3, 17), images(7, 3, 17), 2),
}


def results(run: Settings, data: Arrays) -> tuple[float | None, float | None]:
    """The bounds on both sets after one epoch."""
    check_size(run, len(data.train_images))
    check_objective([run], data, CPU)
    pack = Pack.of([run], data, CPU)
    state = init_state(pack)
    assert train(pack, state, lambda: False, lambda _: None)
    final = final_metrics(pack, state, data)[0].final
    return final.train.elbo, final.test.elbo


@pytest.mark.parametrize("latent_dim", [1, 2])
@pytest.mark.parametrize("name", STRANGE)
def test_strange_images_are_trained_on(settings: MakeSettings, name: str, latent_dim: int) -> None:
    for objective in ("learned", "bilbo"):
        size = min(20, len(STRANGE[name].train_images))
        run = settings(objective=objective, batch_size=size, epochs=1, latent_dim=latent_dim)
        assert None not in results(run, STRANGE[name])


def test_a_thousand_dimensions_are_trained(settings: MakeSettings, digits: Arrays) -> None:
    assert None not in results(settings(latent_dim=1000, steps=2, epochs=None), digits)


@pytest.mark.parametrize(
    ("count", "changes", "message"),
    [
        (1, {"batch_size": 1}, "has 1 training image: give 4 or more"),
        (3, {"batch_size": 1}, "has 3 training images: give 4 or more"),
        (7, {}, "batch_size 100 exceeds the 7 training images of 'digits': choose a smaller"),
        (110, {"held_out": 0.5}, "exceeds the 55 training images of 'digits' that are not held"),
    ],
)
def test_too_few_images_are_refused_before_training(
    settings: MakeSettings, count: int, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_size(settings(**changes), count)


def test_what_sample_quality_needs_is_what_the_measures_take() -> None:
    assert (LEAST_TRAIN, LEAST_TEST) == (BATCH, NEIGHBOURS + 2)
    least = dataset(images(LEAST_TRAIN, 8, 8), images(LEAST_TEST, 8, 8), 2)
    check_arrays("", "d", least)
    reference = Reference.of(untrained(8, 8), pixels(least.train_images), pixels(least.test_images))
    assert compare(reference, pixels(least.train_images)).images == LEAST_TEST


@pytest.mark.parametrize(
    ("data", "lacking"),
    [
        (dataset(images(99, 8, 8), images(20, 8, 8), 2), "99 training images"),
        (dataset(images(100, 8, 8), images(6, 8, 8), 2), "6 test images"),
        (dataset(images(100, 8, 8), images(20, 8, 8)), "one class"),
        (dataset(images(100, 8, 8), np.full((20, 8, 8), 9, np.uint8), 2), "all alike"),
        (dataset(images(100, 1, 1), images(20, 1, 1), 2), "one value each"),
    ],
)
def test_data_that_cannot_be_measured_are_refused_in_words(data: Arrays, lacking: str) -> None:
    with pytest.raises(UserError, match=f"'d' has .*{lacking}.*: leave sample_quality out"):
        check_arrays("", "d", data)


def test_colour_images_are_compared_by_their_planes_and_their_luminance() -> None:
    test, shown = pixels(images(40, 8, 8, 3)), pixels(images(40, 8, 8, 3))
    stacked = as_grey(shown)
    assert stacked.shape == (40, 3 * 8 + 2 * GAP, 8)
    for plane in range(3):
        start = plane * (8 + GAP)
        assert torch.equal(stacked[:, start : start + 8], shown[..., plane])
        assert not stacked[:, start + 8 : start + 8 + GAP].any()
    white = luminance(torch.ones(1, 2, 2, 3, dtype=torch.float64))
    assert torch.allclose(white, torch.ones_like(white))
    reference = Reference.of(untrained(*stacked.shape[1:]), as_grey(test), as_grey(test))
    same, other = (compare_images(reference, test, each) for each in (test, shown))
    assert (same.sharpness, same.precision) == (1.0, 1.0)
    assert other.kid > same.kid
    # A colour counts: the same brightness in another one is another image.
    turned = compare_images(reference, test, test.flip(-1))
    assert turned.fid > same.fid + 1e-3


def test_grey_images_are_compared_as_ever() -> None:
    test, shown = pixels(images(20, 8, 8)), pixels(images(20, 8, 8))
    reference = Reference.of(untrained(8, 8), as_grey(test), as_grey(test))
    assert as_grey(shown) is shown
    assert compare_images(reference, test, shown) == compare(reference, shown)


def pixels(levels: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(levels).float() / 255


def untrained(height: int, width: int) -> Classifier:
    """A classifier with random weights, whose features are as good as any for these tests."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        values: torch.Tensor = torch.empty(shape).normal_(generator=generator)
        return values / sqrt(shape[-1])

    area = 32 * ceil(height / 4) * ceil(width / 4)
    return Classifier(
        {
            **{"conv1.weight": draw(16, 1, 3, 3), "conv1.bias": torch.zeros(16)},
            **{"conv2.weight": draw(32, 16, 3, 3), "conv2.bias": torch.zeros(32)},
            **{"features.weight": draw(64, area), "features.bias": torch.ones(64)},
            **{"standard.mean": torch.zeros(64), "standard.std": torch.ones(64)},
        }
    )
