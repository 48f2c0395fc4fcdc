import gzip
import hashlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from vaebench.data import digits, idx, prepared
from vaebench.data.digits import enlarge
from vaebench.data.fetch import RawFile, fetch
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.files import alone, write_atomically
from vaebench.progress import log

CONTENT = b"the published bytes"
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAEBENCH_MIRROR", raising=False)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "toy"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    (folder / "toy").mkdir(parents=True)
    (folder / "toy" / "file.gz").write_bytes(CONTENT)
    return folder


@pytest.fixture
def server(mirror: Path) -> Iterator[str]:
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(mirror))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def toy(*official: str) -> RawFile:
    return RawFile("file.gz", MD5, official)


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_verified_copy_is_taken_as_it_is(raw: Path) -> None:
    raw.mkdir(parents=True)
    (raw / "file.gz").write_bytes(CONTENT)
    assert fetch(toy(), "toy", raw, ["/nowhere"]) == raw / "file.gz"


def test_a_folder_is_a_mirror(raw: Path, mirror: Path) -> None:
    assert fetch(toy(), "toy", raw, [str(mirror)]).read_bytes() == CONTENT
    assert left_over(raw) == ["file.gz"]


def test_a_url_is_a_mirror_and_the_official_host_comes_last(raw: Path, server: str) -> None:
    assert fetch(toy(), "toy", raw, [server]).read_bytes() == CONTENT
    (raw / "file.gz").unlink()
    path = fetch(toy(f"{server}/toy/file.gz"), "toy", raw, ["/nowhere"])
    assert path.read_bytes() == CONTENT


def test_the_environment_names_the_first_mirror(
    raw: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAEBENCH_MIRROR", str(mirror))
    assert fetch(toy(), "toy", raw, []).read_bytes() == CONTENT


def test_a_damaged_copy_is_replaced_from_a_good_source(raw: Path, mirror: Path) -> None:
    raw.mkdir(parents=True)
    (raw / "file.gz").write_bytes(CONTENT[:-1])
    assert fetch(toy(), "toy", raw, [str(mirror)]).read_bytes() == CONTENT


def test_one_error_names_every_source_and_what_to_do(
    raw: Path, mirror: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mirror / "toy" / "file.gz").write_bytes(CONTENT[:5])
    monkeypatch.setenv("VAEBENCH_MIRROR", "/absent")
    sources = [str(mirror), server, "http://127.0.0.1:9"]
    with pytest.raises(UserError) as error:
        fetch(toy("http://127.0.0.1:9/official.gz", f"{server}/none.gz"), "toy", raw, sources)
    text = str(error.value)
    for part in (
        "/absent/toy/file.gz: no such file",
        f"{mirror}/toy/file.gz: not the published file (5 bytes",
        f"{server}/toy/file.gz: not the published file",
        "http://127.0.0.1:9/toy/file.gz: cannot be read (",
        "http://127.0.0.1:9/official.gz: cannot be read (",
        f"{server}/none.gz: cannot be read (",
        MD5,
        "VAEBENCH_MIRROR",
    ):
        assert part in text
    assert left_over(raw) == []


def test_digits_are_enlarged_exactly() -> None:
    images = np.zeros((1, 8, 8), dtype=np.int64)
    images[0, 0, 0] = 16
    large = enlarge(images)
    assert large.shape == (1, 28, 28)
    assert large[0, :2].max() == large[0, -2:].max() == 0
    assert large[0, 2, 2] == large[0, 3, 3] == 255
    # A third of the way to a black neighbour the grey value has lost a third, in each direction.
    assert large[0, 3, 4] == 170
    assert large[0, 4, 4] == round(255 * 4 / 9)
    assert large[0, 3, 5] == 85


def test_digits_are_prepared_the_same_on_every_machine(data_root: Path) -> None:
    arrays = prepared.load(data_root / "prepared", "digits")
    assert arrays.train_images.shape == (1500, 28, 28)
    assert arrays.test_images.shape == (297, 28, 28)
    assert set(np.unique(arrays.test_labels)) == set(range(10))
    assert prepared.digest(arrays) == DATASETS["digits"].digest


def test_a_prepared_dataset_that_changed_is_refused(tmp_path: Path) -> None:
    prepared.prepare("digits", tmp_path, [])
    folder = tmp_path / "prepared"
    path = folder / "digits" / "test_labels.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="does not have the bytes"):
        prepared.load(folder, "digits")
    path.write_bytes(content[:-40])
    with pytest.raises(UserError, match=r"test_labels\.npy is not a \.npy file"):
        prepared.load(folder, "digits")
    path.unlink()
    with pytest.raises(UserError, match="vaebench data digits"):
        prepared.load(folder, "digits")
    with pytest.raises(UserError, match="prepare the dataset with `vaebench data mnist`"):
        prepared.load(folder, "mnist")


def test_the_manifest_names_shapes_and_digests(data_root: Path) -> None:
    manifest = json.loads((data_root / "prepared" / "digits" / "dataset.json").read_text())
    assert manifest["parts"]["train_images"]["shape"] == [1500, 28, 28]
    assert len(manifest["digest"]) == 64


def test_published_checksums_are_torchvisions() -> None:
    files = {name: {f.name: f.md5 for f in idx.raw_files(name)} for name in idx.CLASSES}
    assert files["mnist"]["train-images-idx3-ubyte.gz"].startswith("f68b3c2d")
    assert files["fashion-mnist"]["train-images-idx3-ubyte.gz"].startswith("8d4fb7e6")
    assert all(len(of_name) == 4 for of_name in files.values())


def test_idx_files_are_read_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way of MNIST on generated archives of the right shape."""
    folder = tmp_path / "mirror" / "mnist"
    folder.mkdir(parents=True)
    files = []
    for count, prefix in ((60_000, "train"), (10_000, "t10k")):
        values = np.arange(count, dtype=np.uint32)
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, :4] = values.view(np.uint8).reshape(-1, 4)
        for kind, array in (
            ("images-idx3", images),
            ("labels-idx1", (values % 10).astype(np.uint8)),
        ):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(
                n.to_bytes(4, "big") for n in array.shape
            )
            content = gzip.compress(header + array.tobytes(), 1, mtime=0)
            name = f"{prefix}-{kind}-ubyte.gz"
            (folder / name).write_bytes(content)
            files.append(RawFile(name, hashlib.md5(content).hexdigest(), ()))
    monkeypatch.setattr(idx, "raw_files", lambda _: files)
    arrays = idx.prepare("mnist", tmp_path / "raw", [str(folder.parent)])
    assert arrays.train_images[300, 0, :2].tolist() == [300 % 256, 300 // 256]
    assert arrays.test_labels[:12].tolist() == [*range(10), 0, 1]
    # These are not the published images, so their preparation is refused and writes nothing.
    with pytest.raises(
        UserError, match=r"have the digest .* not the registered .* enter the digest"
    ):
        prepared.prepare("mnist", tmp_path, [str(folder.parent)])
    assert not (tmp_path / "prepared" / "mnist").exists()


@pytest.mark.parametrize(
    ("part", "changed", "message"),
    [
        ("train_images", np.zeros((2, 4, 4)), r"not float64 \[2, 4, 4\] and uint8 \[2\]"),
        ("test_images", np.zeros((3, 4, 4), np.uint8), r"not uint8 \[3, 4, 4\] and uint8 \[2\]"),
        ("test_images", np.zeros((2, 16), np.uint8), r"not uint8 \[2, 16\]"),
        ("train_labels", np.zeros(2, np.int64), r"and int64 \[2\]"),
    ],
)
def test_arrays_that_are_no_images_with_labels_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    changed: np.ndarray,
    message: str,
) -> None:
    images, labels = np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.uint8)
    arrays = replace(prepared.Arrays(images, labels, images, labels), **{part: changed})
    monkeypatch.setattr(digits, "prepare", lambda *_: arrays)
    with pytest.raises(ValueError, match=message):
        prepared.prepare("digits", tmp_path, [])
    assert not (tmp_path / "prepared" / "digits").exists()


def test_one_process_prepares_a_dataset_at_a_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level("INFO")
    manifest = prepared.manifest_path(tmp_path / "prepared", "digits")
    manifest.parent.parent.mkdir(parents=True)
    made: list[Path] = []
    second = threading.Thread(target=lambda: made.append(prepared.prepare("digits", tmp_path, [])))
    with alone(tmp_path / "prepared" / ".digits.lock", "") as waited:
        assert not waited
        second.start()
        for _ in range(600):
            if "another process prepares the dataset 'digits'" in caplog.text:
                break
            time.sleep(0.1)
        assert "another process prepares the dataset 'digits'" in caplog.text
        assert not manifest.exists()
        manifest.parent.mkdir()
        manifest.write_text("{}")
    second.join(60)
    # What the other one made is taken.
    assert made == [manifest]
    assert manifest.read_text() == "{}"
    assert prepared.prepare("digits", tmp_path, []) == manifest
    assert manifest.read_text() != "{}"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert left_over(path.parent) == ["file"]
