"""MNIST with pixels that are drawn once."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaebench.data import idx
from vaebench.data.binarised import binarise
from vaebench.data.prepared import Arrays
from vaebench.data.registry import DATASETS


@given(st.integers(0, 255), st.text(max_size=9))
def test_a_pixel_is_white_with_the_probability_of_its_grey_value(grey: int, stream: str) -> None:
    count = 10_000
    drawn = binarise(np.full((count, 1, 1), grey, np.uint8), stream)
    assert set(np.unique(drawn)) <= {0, 255}
    expected = count * grey / 255
    # Six standard deviations; none for black and white, which are not drawn.
    assert abs((drawn == 255).sum() - expected) <= 6 * (expected * (1 - grey / 255)) ** 0.5


def test_streams_are_known_and_independent() -> None:
    grey = np.full((100, 2, 10), 128, np.uint8)
    one, other = (binarise(grey, name) == 255 for name in ("one", "other"))
    assert abs((one == other).mean() - 0.5) < 0.05
    assert (binarise(grey, "one") == 255).tolist() == one.tolist()
    # A longer stream begins with the shorter one.
    assert (binarise(grey[:10], "one") == 255).tolist() == one[:10].tolist()


def test_the_first_draws_are_those_of_every_machine() -> None:
    drawn = binarise(np.full(16, 128, np.uint8), "binarized-mnist/test_images") // 255
    assert drawn.tolist() == EXPECTED


EXPECTED = [1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1]


@pytest.fixture
def grey(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Stands in for MNIST."""
    images = np.arange(2 * 200 * 4, dtype=np.uint16).astype(np.uint8).reshape(2, 200, 2, 2)
    labels = np.arange(200, dtype=np.uint8) % 10
    arrays = Arrays(images[0], labels, images[1], labels[::-1].copy())
    wanted = ("mnist", Path("raw") / "mnist", ["mirror"])

    def prepare(name: str, raw: Path, mirrors: list[str]) -> Arrays:
        assert (name, raw, mirrors) == wanted
        return arrays

    monkeypatch.setattr(idx, "prepare", prepare)
    return arrays


def test_both_datasets_have_the_same_test_images(grey: Arrays) -> None:
    fixed, dynamic = (
        DATASETS[name].prepare(name, Path("raw") / name, ["mirror"], Path())
        for name in ("binarized-mnist", "binarized-mnist-dynamic")
    )
    assert (fixed.test_images == dynamic.test_images).all()
    assert (dynamic.train_images == grey.train_images).all()
    assert set(np.unique(fixed.train_images)) == {0, 255}
    assert (fixed.train_images != fixed.test_images).any()
    for arrays in (fixed, dynamic):
        assert (arrays.train_labels == grey.train_labels).all()
        assert (arrays.test_labels == grey.test_labels).all()
    assert DATASETS["binarized-mnist-dynamic"].dynamic_binarisation
    assert not DATASETS["binarized-mnist"].dynamic_binarisation


def test_fashion_mnist_is_drawn_from_its_own_images_and_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def prepare(name: str, raw: Path, mirrors: list[str]) -> Arrays:
        asked.append((name, raw, mirrors))
        grey = np.full((3, 28, 28), 128, np.uint8)
        labels = np.zeros(3, np.uint8)
        return Arrays(grey, labels, grey, labels)

    monkeypatch.setattr(idx, "prepare", prepare)
    fashion, mnist = (
        DATASETS[f"binarized-{name}-dynamic"].prepare(
            f"binarized-{name}-dynamic", Path("raw") / name, ["mirror"], Path()
        )
        for name in ("fashion-mnist", "mnist")
    )
    assert asked[0] == ("fashion-mnist", Path("raw/fashion-mnist"), ["mirror"])
    assert set(np.unique(fashion.test_images)) == {0, 255}
    assert (fashion.test_images != mnist.test_images).any()
    assert (fashion.train_images == 128).all()
    assert DATASETS["binarized-fashion-mnist-dynamic"].dynamic_binarisation
