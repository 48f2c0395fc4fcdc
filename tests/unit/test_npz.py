"""Datasets from .npz files."""

import io
import logging
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vaebench.data.npz import has_labels, read_npz
from vaebench.data.prepared import Arrays
from vaebench.data.split import split
from vaebench.errors import UserError


def write(folder: Path, **arrays: Any) -> Path:
    path = folder / "cells.npz"
    np.savez(path, **arrays)
    return path


def read(**arrays: Any) -> Arrays:
    with tempfile.TemporaryDirectory() as folder:
        return read_npz(write(Path(folder), **arrays), 0.25, 0)


def refused(**arrays: Any) -> str:
    with pytest.raises(UserError) as error:
        read(**arrays)
    return str(error.value)


def grey(count: int = 8, *size: int) -> np.ndarray:
    return np.arange(count * 12, dtype=np.uint8).reshape(count, *(size or (3, 4)))


shapes = st.tuples(st.integers(2, 9), st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.sampled_from([shape, (*shape, 1), (*shape, 3)])
)


@given(shapes.flatmap(lambda shape: hnp.arrays(np.uint8, shape)))
def test_bytes_are_taken_as_they_are(images: np.ndarray) -> None:
    found = read(images=images)
    train, test = split(len(images), 0.25, 0, "")
    expected = images[..., 0] if images.shape[3:] == (1,) else images
    assert (found.train_images == expected[train]).all()
    assert (found.test_images == expected[test]).all()
    assert found.train_images.dtype == np.uint8


@given(
    st.sampled_from(["f2", "f4", "f8", ">f4"]).flatmap(
        lambda dtype: hnp.arrays(
            dtype, (3, 2, 2), elements=st.floats(0, 1, width=16), fill=st.nothing()
        )
    )
)
def test_floats_become_the_nearest_level(images: np.ndarray) -> None:
    found = read(train_images=images, test_images=images)
    distance = found.train_images - 255 * images.astype(float)
    assert abs(distance).max() <= 0.5
    assert (found.test_images == found.train_images).all()


@given(
    st.sampled_from(["f2", "f4", "f8", "i1", "u2", "i8", "?", "c8", "U3", "M8[s]"]),
    st.sampled_from([-1.0, 2.0, float("nan"), float("inf")]),
)
def test_other_values_are_refused_with_their_type(dtype: str, value: float) -> None:
    is_number = np.dtype(dtype).kind in "fiub"
    images = np.zeros((4, 2, 2), dtype)
    if np.dtype(dtype).kind == "f":
        images[0, 0, 0] = value
    text = refused(images=images)
    assert "'images' is" in text
    assert np.dtype(dtype).name in text or np.dtype(dtype).str[1:] in text
    assert (" from " in text.split(", and")[0]) == is_number


@pytest.mark.parametrize("shape", [(4,), (4, 6), (4, 2, 2, 2), (4, 3, 2, 2), (0, 2, 2), (4, 0, 2)])
def test_a_shape_that_is_none_of_images_is_refused(shape: tuple[int, ...]) -> None:
    assert f"'images' has the shape {list(shape)}" in refused(images=np.zeros(shape, np.uint8))


def test_images_that_are_nearly_black_are_named(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("vaebench").propagate = True
    read(images=np.eye(4, dtype=np.uint8)[None].repeat(4, 0))
    assert "no value above 1, of 255" in caplog.text


@given(
    st.sampled_from([np.int8, np.uint8, np.int32, np.uint64]).flatmap(
        lambda dtype: hnp.arrays(dtype, 8, elements=st.integers(0, 120))
    )
)
def test_labels_of_any_whole_type_stay_with_their_images(labels: np.ndarray) -> None:
    found = read(images=grey(), labels=labels)
    train, test = split(8, 0.25, 0, "")
    assert (found.train_labels == labels[train]).all()
    assert (found.test_labels == labels[test]).all()
    assert found.test_labels.dtype == np.uint8


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(8, -1), "int64 from -1 to -1"),
        (np.full(8, 256), "int64 from 256 to 256"),
        (np.full(8, 0.5), "float64 from 0.5 to 0.5"),
        (np.full(8, "cat"), "<U3, and labels are whole numbers"),
        (np.zeros(7, int), "the shape [7], and there are 8 images"),
        (np.zeros((8, 1), int), "the shape [8, 1]"),
    ],
)
def test_other_labels_are_refused(labels: np.ndarray, message: str) -> None:
    assert message in refused(images=grey(), labels=labels)


def test_a_file_may_have_the_parts_apart() -> None:
    found = read(
        train_images=grey(8), test_images=grey(3), train_labels=np.arange(8), test_labels=[0, 1, 2]
    )
    assert (found.train_images == grey(8)).all()
    assert found.test_labels.tolist() == [0, 1, 2]
    assert read(train_images=grey(), test_images=grey()).train_labels.tolist() == [0] * 8


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "(found: none)"),
        (["picture"], "needs an array 'images', or the two"),
        (["train_images"], "needs an array 'images', or the two"),
        (["test_images"], "needs an array 'images', or the two"),
        (["images", "train_images", "test_images"], "needs an array 'images', or the two"),
        (["images", "train_labels"], "labels of these images are 'labels', or none"),
        (["train_images", "test_images", "train_labels"], "or neither (found: train_images"),
        (["train_images", "test_images", "labels"], "or neither (found: train_images"),
    ],
)
def test_wrong_arrays_are_named(names: list[str], message: str) -> None:
    assert message in refused(**{name: grey() for name in names})


def test_parts_of_different_sizes_are_refused() -> None:
    message = "train_images are [3, 4], and those of test_images [4, 3]"
    assert message in refused(train_images=grey(), test_images=grey(8, 4, 3))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    path = write(tmp_path, images=np.array([Trap()], dtype=object))
    with pytest.raises(UserError, match=r"cells\.npz: the array 'images' cannot be read .*pickle"):
        read_npz(path, 0.1, 0)
    path.write_bytes(np.array([Trap()], dtype=object).dumps())
    with pytest.raises(UserError, match=r"cells\.npz is not a \.npz file"):
        read_npz(path, 0.1, 0)
    assert not (tmp_path / "sprung").exists()


@given(st.data())
def test_a_damaged_file_is_refused_or_read_as_it_was(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), images=grey(), labels=np.arange(8))
        content = bytearray(path.read_bytes())
        if data.draw(st.booleans()):
            del content[data.draw(st.integers(0, len(content) - 1)) :]
        else:
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        try:
            found = read_npz(path, 0.25, 0)
        except UserError as error:
            assert "cells.npz" in str(error)  # noqa: PT017 - not every byte is read
        else:
            assert (found.train_images == grey()[split(8, 0.25, 0, "")[0]]).all()


def test_what_is_no_npz_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cells.npz"
    for content in (b"", b"text", _npy()):
        path.write_bytes(content)
        with pytest.raises(UserError, match=re.escape(str(path))):
            read_npz(path, 0.1, 0)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"")
    with pytest.raises(UserError, match="'images' cannot be read"):
        read_npz(path, 0.1, 0)
    with pytest.raises(UserError, match="is missing"):
        read_npz(tmp_path / "absent.npz", 0.1, 0)


def _npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, grey())
    return buffer.getvalue()


def test_one_class_counts_as_no_labels(tmp_path: Path) -> None:
    assert not has_labels(write(tmp_path, images=grey()))
    assert not has_labels(write(tmp_path, images=grey(), labels=np.full(8, 3)))
    assert has_labels(write(tmp_path, images=grey(), labels=np.arange(8)))


@given(st.integers(2, 300), st.floats(0.01, 0.99), st.integers(0, 2**32))
def test_a_split_is_whole_and_depends_on_the_seed(count: int, share: float, seed: int) -> None:
    tests = max(1, round(count * share))
    if tests >= count:
        with pytest.raises(UserError, match=f"has {count} images"):
            split(count, share, seed, "a file")
        return
    train, test = split(count, share, seed, "a file")
    assert sorted([*train, *test]) == list(range(count))
    assert len(test) == tests
    again = split(count, share, seed, "another file")
    assert (again[0] == train).all()
    if count > 30:
        assert (split(count, share, seed + 1, "a file")[0] != train).any()


def test_a_single_image_cannot_be_split() -> None:
    assert "has 1 images, and a test_share of 0.25 leaves none" in refused(images=grey(1))
