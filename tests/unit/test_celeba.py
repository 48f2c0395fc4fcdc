"""Preparing images in CelebA's layout, from generated JPEGs: none of them is CelebA's."""

import errno
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vaebench.data import celeba, decode, prepared
from vaebench.data.crop import SIDE, crop_and_resize, crop_side
from vaebench.data.image_files import ImageFiles
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.runs.run_hash import run_hash

NAME = "celeba-folder"
Size = tuple[int, int]
DECODE_ONE = decode._decode_one


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAEBENCH_MIRROR", raising=False)
    monkeypatch.setattr(decode, "BLOCK", 4)


def jpeg(k: int, size: Size = (178, 218)) -> bytes:
    """A smooth colour image that differs with k."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    levels = [np.sin(3 * x + k), np.cos(4 * y * x + 2 * k), np.sin(5 * y - k)]
    image = Image.fromarray((127 + 100 * np.stack(levels, -1)).astype(np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def names(count: int) -> list[str]:
    return [f"{k + 1:06}.jpg" for k in range(count)]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Twenty images, the last six for validation and testing."""
    folder = tmp_path / "raw" / NAME
    (folder / celeba.FOLDER).mkdir(parents=True)
    for k, name in enumerate(names(20)):
        (folder / celeba.FOLDER / name).write_bytes(jpeg(k))
    splits = [0] * 14 + [1] * 4 + [2] * 2
    write_partition(folder, splits)
    return folder


def write_partition(folder: Path, splits: list[int]) -> None:
    lines = [f"{name} {split}" for name, split in zip(names(len(splits)), splits, strict=True)]
    (folder / celeba.PARTITION).write_text("\n".join(lines) + "\n")


def to_archive(folder: Path, extra: dict[str, bytes] | None = None) -> None:
    """Turns the folder of images into the archive."""
    images = folder / celeba.FOLDER
    with zipfile.ZipFile(folder / celeba.ARCHIVE, "w") as archive:
        for path in sorted(images.iterdir()):
            archive.write(path, f"{celeba.FOLDER}/{path.name}")
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    shutil.rmtree(images)


def load(root: Path) -> prepared.Arrays:
    return prepared.load(root / "prepared", NAME)


def assert_nothing_is_prepared(root: Path) -> None:
    assert not (root / "prepared" / NAME).exists()
    with pytest.raises(UserError, match=f"prepare the dataset with `vaebench data {NAME}`"):
        load(root)


@pytest.mark.parametrize("size", [(178, 218), (89, 109), (300, 300)])
def test_the_crop_is_resized_as_bilinear_interpolation_is_defined(size: Size) -> None:
    """Against torch in float64; 160 of 178 pixels are 80 of 89."""
    pixels = np.asarray(Image.open(io.BytesIO(jpeg(3, size))))
    width, height = size
    side = crop_side(height, width)
    assert side == {178: 160, 89: 80, 300: 269}[width]
    top, left = (height - side) // 2, (width - side) // 2
    crop = torch.from_numpy(pixels[top : top + side, left : left + side].astype(float))
    resized = torch.nn.functional.interpolate(
        crop.permute(2, 0, 1)[None], (SIDE, SIDE), mode="bilinear", antialias=False
    )
    expected = resized[0].permute(1, 2, 0).numpy()
    assert np.abs(crop_and_resize(pixels, side) - expected).max() <= 0.5 + 1e-6


def test_the_paper_s_crop_is_160_pixels_from_the_middle() -> None:
    image = np.zeros((218, 178, 3), np.uint8)
    image[29:189, 9:169] = 255
    assert (crop_and_resize(image, 160) == 255).all()
    image[29] = 0
    assert (crop_and_resize(image, 160)[0] < 255).all()


@pytest.mark.parametrize("size", [(70, 90), (178, 150), (40, 40)])
def test_images_too_small_for_the_crop_are_refused(tmp_path: Path, raw: Path, size: Size) -> None:
    (raw / celeba.FOLDER / "000007.jpg").write_bytes(jpeg(7, size))
    with pytest.raises(UserError, match=rf"'000007.jpg' is {size[0]}x{size[1]} pixels, too small"):
        prepared.prepare(NAME, tmp_path, [])
    assert_nothing_is_prepared(tmp_path)


def test_a_folder_and_an_archive_give_the_same_bytes(tmp_path: Path, raw: Path) -> None:
    manifest = json.loads(prepared.prepare(NAME, tmp_path, []).read_text())
    arrays = load(tmp_path)
    assert arrays.train_images.shape == (14, 64, 64, 3)
    assert arrays.test_images.shape == (4, 64, 64, 3)
    assert arrays.train_labels.tolist() == [0] * 14
    for k, image in enumerate([*arrays.train_images, *arrays.test_images]):
        pixels = np.asarray(Image.open(io.BytesIO(jpeg(k))))
        assert (image == crop_and_resize(pixels, 160)).all(), "images are not in order"
    before = manifest["digest"]
    shutil.rmtree(tmp_path / "prepared")
    to_archive(raw)
    assert json.loads(prepared.prepare(NAME, tmp_path, []).read_text())["digest"] == before
    assert not list((tmp_path / "prepared").glob("*unfinished"))
    assert left_over(raw) == [celeba.ARCHIVE, celeba.PARTITION], "the archive was unpacked"


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_inside_the_folder_is_found(tmp_path: Path, raw: Path) -> None:
    """Kaggle has it so."""
    images = raw / celeba.FOLDER
    images.rename(raw / "inner")
    images.mkdir()
    with pytest.raises(UserError, match=r"img_align_celeba has no images \*\.jpg"):
        prepared.prepare(NAME, tmp_path, [])
    (raw / "inner").rename(images / celeba.FOLDER)
    prepared.prepare(NAME, tmp_path, [])
    assert len(load(tmp_path).train_images) == 14


@pytest.mark.usefixtures("raw")
def test_a_disk_without_space_is_named_before_images_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device: .*train_images\.npy"):
        prepared.prepare(NAME, tmp_path, [])
    assert not list(tmp_path.rglob("train_images.npy"))


def test_a_mirror_that_is_a_folder_serves_it(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.move(raw, tmp_path / "mirror" / NAME)
    with pytest.raises(UserError, match=r"has no images\. Looked in") as error:
        prepared.prepare(NAME, tmp_path, [str(tmp_path / "elsewhere")])
    assert str(raw) in str(error.value)
    assert str(tmp_path / "elsewhere" / NAME) in str(error.value)
    monkeypatch.setenv("VAEBENCH_MIRROR", str(tmp_path / "mirror"))
    prepared.prepare(NAME, tmp_path, [])
    assert len(load(tmp_path).train_images) == 14


def test_a_subset_without_validation_images_holds_out_the_last_tenth(
    tmp_path: Path, raw: Path
) -> None:
    write_partition(raw, [0] * 19 + [2])
    prepared.prepare(NAME, tmp_path, [])
    arrays = load(tmp_path)
    assert (len(arrays.train_images), len(arrays.test_images)) == (18, 1)
    pixels = np.asarray(Image.open(io.BytesIO(jpeg(18))))
    assert (arrays.test_images[0] == crop_and_resize(pixels, 160)).all()


@pytest.mark.parametrize(
    "content", [jpeg(5)[:4000], b"", b"no image", jpeg(5)[:200]], ids=["half", "0", "text", "head"]
)
def test_a_damaged_jpeg_is_named(tmp_path: Path, raw: Path, content: bytes) -> None:
    path = raw / celeba.FOLDER / "000006.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"'000006.jpg' is not a complete JPEG image"):
        prepared.prepare(NAME, tmp_path, [])
    assert_nothing_is_prepared(tmp_path)
    path.write_bytes(jpeg(5))
    prepared.prepare(NAME, tmp_path, [])
    assert len(load(tmp_path).train_images) == 14


def test_a_damaged_archive_is_named(tmp_path: Path, raw: Path) -> None:
    to_archive(raw)
    path = raw / celeba.ARCHIVE
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"{celeba.FOLDER}/000003.jpg")
    place = entry.header_offset + 1000
    path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
    with pytest.raises(UserError, match=r"'000003.jpg' is damaged \(Bad CRC-32"):
        prepared.prepare(NAME, tmp_path, [])
    path.write_bytes(content[:1000])
    with pytest.raises(UserError, match="is not a zip archive that can be read"):
        prepared.prepare(NAME, tmp_path, [])
    assert_nothing_is_prepared(tmp_path)


@pytest.mark.parametrize(
    "name", ["../out.jpg", "a/../../out.jpg", "/out.jpg", "C:\\out.jpg", "..\\out.jpg", "\\\\a\\b"]
)
def test_an_archive_with_names_that_lead_out_of_it_is_refused(
    tmp_path: Path, raw: Path, name: str
) -> None:
    to_archive(raw, {name: jpeg(1)})
    with pytest.raises(UserError, match="a name that leads out of the archive"):
        prepared.prepare(NAME, tmp_path, [])
    assert_nothing_is_prepared(tmp_path)
    assert not list(tmp_path.rglob("out.jpg"))


def test_two_images_of_one_name_are_refused(tmp_path: Path, raw: Path) -> None:
    to_archive(raw, {"other/000001.jpg": jpeg(1)})
    with pytest.raises(UserError, match=r"holds two images named '000001.jpg'"):
        prepared.prepare(NAME, tmp_path, [])


def test_a_missing_or_wrong_partition_is_named(tmp_path: Path, raw: Path) -> None:
    path = raw / celeba.PARTITION
    text = path.read_text()
    path.unlink()
    with pytest.raises(UserError, match=r"list_eval_partition\.txt is missing"):
        prepared.prepare(NAME, tmp_path, [])
    for wrong in ("000003.jpg 3", "000003.jpg", "../000003.jpg 0", "000003.png 0"):
        path.write_text(text.replace("000003.jpg 0", wrong))
        with pytest.raises(UserError, match=r"line 3: .* is not an image and its split"):
            prepared.prepare(NAME, tmp_path, [])
    path.write_text("000001.jpg 2\n")
    with pytest.raises(UserError, match="0 are for training and 0 are held out"):
        prepared.prepare(NAME, tmp_path, [])
    assert_nothing_is_prepared(tmp_path)


class Interrupting:
    """Stands in for the decoder of one image, and is interrupted at a chosen one."""

    def __init__(self, at: str | None = None) -> None:
        self.at, self.seen = at, list[str]()

    def __call__(
        self, images: ImageFiles, name: str, conversion: decode.Conversion
    ) -> prepared.Bytes:
        if name == self.at:
            raise KeyboardInterrupt
        self.seen.append(name)
        return DECODE_ONE(images, name, conversion)


def test_an_interrupted_preparation_goes_on_where_it_stood(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    first = Interrupting(at="000010.jpg")
    monkeypatch.setattr(decode, "_decode_one", first)
    with pytest.raises(KeyboardInterrupt):
        prepared.prepare(NAME, tmp_path, [])
    assert_nothing_is_prepared(tmp_path)
    # An image that was replaced meanwhile is decoded again, with the block that it is in.
    (raw / celeba.FOLDER / "000002.jpg").write_bytes(jpeg(77))
    again = Interrupting()
    monkeypatch.setattr(decode, "_decode_one", again)
    prepared.prepare(NAME, tmp_path, [])
    assert again.seen == [f"{k:06}.jpg" for k in (*range(1, 5), *range(9, 19))]
    arrays = load(tmp_path)
    for k in (0, 1, 5, 13):
        pixels = np.asarray(Image.open(io.BytesIO(jpeg(77 if k == 1 else k))))
        assert (arrays.train_images[k] == crop_and_resize(pixels, 160)).all()


def test_a_preparation_that_was_killed_goes_on_where_it_was_noted(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a killed process is left but its files; here, damaged ones."""
    assert raw.is_dir()
    prepared.prepare(NAME, tmp_path, [])
    whole = load(tmp_path).train_images.tobytes()
    unfinished = tmp_path / "prepared" / f".{NAME}.unfinished"
    shutil.rmtree(tmp_path / "prepared" / NAME)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(decode, "_decode_one", Interrupting(at="000010.jpg"))
    with pytest.raises(KeyboardInterrupt):
        prepared.prepare(NAME, tmp_path, [])
    for damage in ("train_images.npy", "train_images.done.json"):
        (unfinished / damage).write_bytes(b"half")
    again = Interrupting()
    monkeypatch.setattr(decode, "_decode_one", again)
    prepared.prepare(NAME, tmp_path, [])
    assert len(again.seen) == 18
    assert load(tmp_path).train_images.tobytes() == whole


def test_a_dataset_without_a_registered_digest_is_known_once_it_is_prepared(
    tmp_path: Path, raw: Path
) -> None:
    run = Settings(
        dataset=NAME, network="conv", likelihood="gaussian-coordinate", objective="learned",
        latent_dim=16, batch_size=8, learning_rate=0.001, steps=10, seed=0,
    )  # fmt: skip
    with pytest.raises(
        UserError, match=rf"dataset '{NAME}' is not prepared.* `vaebench data {NAME}`"
    ):
        run_hash(run, tmp_path)
    path = prepared.prepare(NAME, tmp_path, [])
    before = run_hash(run, tmp_path)
    assert before == run_hash(run, tmp_path)
    (raw / celeba.FOLDER / "000002.jpg").write_bytes(jpeg(77))
    prepared.prepare(NAME, tmp_path, [])
    assert run_hash(run, tmp_path) != before
    path.write_text("{")
    with pytest.raises(UserError, match=r"dataset\.json is not a JSON file"):
        run_hash(run, tmp_path)


def test_a_large_dataset_is_checked_once_and_again_when_it_changes(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert raw.is_dir()
    prepared.prepare(NAME, tmp_path, [])
    monkeypatch.setattr(prepared, "LARGE", 0)
    calls = []
    digest = prepared.digest

    def counting(arrays: prepared.Arrays) -> str:
        calls.append(arrays)
        return digest(arrays)

    monkeypatch.setattr(prepared, "digest", counting)
    load(tmp_path)
    load(tmp_path)
    assert len(calls) == 1
    path = tmp_path / "prepared" / NAME / "train_images.npy"
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="does not have the bytes"):
        load(tmp_path)
    # Nothing but reading it tells of a change that leaves size and date as they were.
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    load(tmp_path)
    with pytest.raises(UserError, match="does not have the bytes"):
        prepared.load(tmp_path / "prepared", NAME, every_byte=True)


def test_the_archives_are_the_published_ones_alone(tmp_path: Path, raw: Path) -> None:
    full, small = (celeba.raw_files(name) for name in ("celeba", "celeba-10k"))
    assert full[0].md5 == "00d2c5bc6d35e252742224ab0c1e8fcb"
    assert full[1] == small[1]
    assert full[1].md5 == "d32c9cbf5e040fd4025c592c306e6668"
    to_archive(raw)
    shutil.move(raw, tmp_path / "mirror" / "celeba")
    with pytest.raises(UserError, match="not the published file"):
        prepared.prepare("celeba", tmp_path, [str(tmp_path / "mirror")])
    assert not (tmp_path / "prepared" / "celeba").exists()


def test_drawn_faces_are_the_same_on_every_machine(tmp_path: Path) -> None:
    prepared.prepare("faces", tmp_path, [])
    arrays = prepared.load(tmp_path / "prepared", "faces")
    assert arrays.train_images.shape == (512, 32, 32, 3)
    assert arrays.test_images.shape == (64, 32, 32, 3)
    assert prepared.digest(arrays) == DATASETS["faces"].digest
    assert arrays.train_images.std(0).mean() > 30
