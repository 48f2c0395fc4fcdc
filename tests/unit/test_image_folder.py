"""Datasets from folders of image files."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaebench.data.image_folder import contents
from vaebench.data.prepared import Arrays
from vaebench.data.read_folder import Size, read_folder
from vaebench.errors import UserError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def put(path: Path, level: int = 0, size: Size = (4, 6), mode: str = "RGB") -> None:
    """An image of one level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full((*size, 3), level, np.uint8)
    Image.fromarray(array).convert(mode).save(path)


def read(
    folder: Path, size: Size | None = None, colours: int | None = None, seed: int = 0
) -> Arrays:
    return read_folder(folder, size, colours, 0.25, seed, folder.parent / f"unfinished {seed}")


def levels(images: Iterable[np.ndarray]) -> list[int]:
    return sorted(int(image.flat[0]) for image in images)


def test_images_are_split_by_the_seed(photos: Path) -> None:
    for k in range(20):
        put(photos / f"{k:02}.png", k)
    found = read(photos)
    assert found.train_images.shape == (15, 4, 6, 3)
    assert levels([*found.train_images, *found.test_images]) == list(range(20))
    former = found.test_images.tobytes()
    assert read(photos).test_images.tobytes() == former
    assert levels(read(photos, seed=1).test_images) != levels(found.test_images)
    assert not found.train_labels.any()


def test_links_give_no_image_twice(photos: Path, tmp_path: Path) -> None:
    for label, name in enumerate(("a", "b")):
        for k in range(4):
            put(photos / name / f"{k}.png", 10 * label + k)
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere / "4.png", 24)
    plain = contents(photos).parts
    (photos / "b" / "x").symlink_to("../a")
    (photos / "a" / "y").symlink_to("../b")
    (elsewhere / "again").symlink_to(".")
    assert contents(photos).parts == plain
    # A folder elsewhere is read through a link, once.
    (photos / "c").symlink_to(elsewhere)
    (photos / "d").symlink_to(elsewhere)
    assert contents(photos).parts["all"] == [*plain["all"], "c/4.png"]


def test_class_folders_give_labels_in_the_order_of_their_names(photos: Path) -> None:
    for label, name in enumerate(("ant", "bee", "cat")):
        for k in range(4):
            put(photos / name / "deeper" / f"{k}.PNG", 10 * label + k)
    (photos / "ant" / "notes.txt").write_text("no image")
    put(photos / ".hidden" / "0.png")
    put(photos / "ant" / ".hidden.png")
    found = read(photos)
    for images, labels in (
        (found.train_images, found.train_labels),
        (found.test_images, found.test_labels),
    ):
        assert (images[:, 0, 0, 0] // 10 == labels).all()
    assert len(found.train_images) + len(found.test_images) == 12


def test_train_and_test_folders_split_by_files(photos: Path) -> None:
    for name, label in (("bee", 1), ("ant", 0)):
        for k in range(5):
            put(photos / "train" / name / f"{k}.png", 10 * label + k)
    put(photos / "test" / "bee" / "x.png", 100)
    put(photos / "other" / "y.png", 200)
    found = read(photos)
    assert levels(found.train_images) == [*range(5), *range(10, 15)]
    assert levels(found.test_images) == [100]
    assert found.test_labels.tolist() == [1]
    assert (found.train_images[:, 0, 0, 0] // 10 == found.train_labels).all()
    assert found.train_labels.tolist() not in ([0] * 5 + [1] * 5, [1] * 5 + [0] * 5)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "has no images"),
        (["a.txt"], "has no images"),
        (["train/a.png"], "test has no images"),
        (["test/a.png", "b.png"], "train has no images"),
        (["ant/a.png", "b.png"], "such as ant/, and others are not, such as b.png"),
        (["train/ant/a.png", "test/bee/b.png"], "has the class 'bee', and train/ has no"),
        (["train/a.png", "test/bee/b.png"], "others are not, such as train/a.png"),
        (["a.png"], "has 1 images, and a test_share of 0.25 leaves none for training"),
    ],
)
def test_a_folder_of_another_layout_is_refused(
    photos: Path, files: list[str], message: str
) -> None:
    for file in files:
        if file.endswith(".png"):
            put(photos / file)
        else:
            (photos / file).touch()
    # A folder for a part is one even if it is empty.
    if any(file.startswith("train/") for file in files):
        (photos / "test").mkdir(exist_ok=True)
    with pytest.raises(UserError) as error:
        read(photos)
    assert message in str(error.value)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="absent is not a folder"):
        contents(tmp_path / "absent")


def test_images_of_different_sizes_need_a_size(photos: Path) -> None:
    for k in range(3):
        put(photos / f"{k}.png", k)
    put(photos / "3.png", 3, size=(5, 6))
    with pytest.raises(UserError, match=r"'0\.png' is 6x4 and '3\.png' 6x5 pixels"):
        read(photos)
    assert read(photos, size=(2, 3)).train_images.shape == (3, 2, 3, 3)


def test_the_centre_is_cropped(photos: Path) -> None:
    array = np.zeros((8, 16, 3), np.uint8)
    array[:, 4:12] = 200
    for k in range(2):
        Image.fromarray(array).save(photos / f"{k}.png")
    image = read(photos, size=(4, 4)).train_images[0].astype(int)
    # The filter of the outermost pixels is wider than they are.
    assert (abs(image - 200) < 20).all()


def test_grey_images_have_no_colour_axis(photos: Path) -> None:
    for k in range(4):
        put(photos / f"{k}.png", 10 * k, mode="L")
    assert read(photos).train_images.shape == (3, 4, 6)
    assert read(photos, colours=3).train_images.shape == (3, 4, 6, 3)
    put(photos / "4.png", 40)
    assert read(photos).train_images.shape == (4, 4, 6, 3)
    grey = read(photos, colours=1)
    assert levels([*grey.train_images, *grey.test_images]) == [0, 10, 20, 30, 40]


def test_images_are_turned_upright(photos: Path) -> None:
    """As EXIF says; and the size that all have is that of the upright image."""
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = np.zeros((16, 32, 3), np.uint8)
    lying[:, :16] = 255
    for k in range(2):
        Image.fromarray(lying).save(photos / f"{k}.jpg", exif=exif)
    upright = read(photos).train_images
    assert upright.shape == (1, 32, 16, 3)
    assert upright[0, :12].min() > 200
    assert upright[0, -12:].max() < 50


def test_transparent_parts_become_white(photos: Path) -> None:
    for k in range(2):
        Image.new("RGBA", (3, 3), (10, 20, 30, 0)).save(photos / f"{k}.png")
    assert (read(photos).train_images == 255).all()


@pytest.mark.parametrize("sized", [True, False])
def test_a_damaged_image_is_named(photos: Path, sized: bool) -> None:
    for k in range(4):
        put(photos / f"{k}.png", k, size=(40, 40))
    content = (photos / "2.png").read_bytes()
    size, colours = ((4, 4), 3) if sized else (None, None)
    for damaged in (b"", b"text", content[:40], content[:-30]):
        (photos / "2.png").write_bytes(damaged)
        with pytest.raises(UserError, match=r"photos: '2\.png' is not a complete PNG or JPEG"):
            read(photos, size, colours)


def test_images_of_16_bits_are_refused(photos: Path) -> None:
    for k in range(2):
        Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(photos / f"{k}.png")
    with pytest.raises(UserError, match=r"'0\.png' has pixels of another kind \(I;16\)"):
        read(photos)
