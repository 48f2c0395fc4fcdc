"""Files from elsewhere whose headers lie, whose few bytes stand for many, or that are no files."""

import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from tests.conftest import PROJECT
from vaebench.data.decode import open_image
from vaebench.data.image_files import files_of, open_archive
from vaebench.errors import UserError
from vaebench.files import digest_bytes, digest_file, read_content
from vaebench.plain_text import CONTROL_IN_JSON, escape, printable
from vaebench.reading.arrays import arrays_of, map_array
from vaebench.reading.arrays import open_archive as open_npz
from vaebench.reading.tables import read_table
from vaebench.reading.tensors import tensors_of
from vaebench.reading.text import read_json, read_object, read_text
from vaebench.results.read import load_results
from vaebench.yaml_text import read_yaml

NPZ, WEIGHTS = Path("a.npz"), Path("w.safetensors")
REMEDY = "make it again"


def test_content_is_what_the_digest_says(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert read_content(path, REMEDY, 7, digest_bytes(b"content")) == b"content"
    with pytest.raises(UserError, match=r"file is too large \(7 bytes; .*6\): make it again"):
        read_content(path, REMEDY, 6)
    with pytest.raises(UserError, match=r"file is not the file that metrics\.json names.*again"):
        read_content(path, REMEDY, 7, digest_bytes(b"other"), "metrics.json")
    with pytest.raises(UserError, match=r"none is missing: make it again"):
        read_content(tmp_path / "none", REMEDY, 7)


def test_what_is_no_ordinary_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("pipe", "zeros"):
        with pytest.raises(UserError, match=f"{name} is not an ordinary file"):
            read_content(tmp_path / name, REMEDY, 100)
        with pytest.raises(OSError, match="ordinary"):
            digest_file(tmp_path / name)
    for name in (".", "loop", "x" * 300):
        with pytest.raises(UserError, match="make it again"):
            read_content(tmp_path / name, REMEDY, 100)
    with pytest.raises(UserError, match="cannot be read"):
        read_content(Path("a\0b"), REMEDY, 100)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"a": 1, "a": 2}', "'a' twice"),
        (b'{"a": NaN}', "the number NaN"),
        (b"<<<<<<< HEAD\n{}\n=======\n[]\n>>>>>>> x\n", "merge conflict"),
        (b'{"a": "\\u001b[2J"}', "control characters"),
        ('{"a": "\u202egnp.exe"}'.encode(), "control characters"),
        (b"[" * 100_000 + b"]" * 100_000, "RecursionError"),
        (b"[1" + b"0" * 5000 + b"]", "ValueError"),
        (b"\xff\xfe{}", "UnicodeDecodeError"),
        (b"", "JSONDecodeError"),
    ],
)
def test_json_is_taken_or_refused_in_words(tmp_path: Path, text: bytes, found: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text)
    with pytest.raises(UserError, match=rf"a\.json is not a JSON file .*{found}.*: make it again"):
        read_json(path, REMEDY)


def test_json_may_have_windows_ends_of_lines_and_must_be_an_object(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{\r\n"a": "b\\nc"}\r\n')
    assert read_object(path, REMEDY) == {"a": "b\nc"}
    path.write_text("[]")
    with pytest.raises(UserError, match=r"a\.json holds a list"):
        read_object(path, REMEDY)
    path.write_bytes(b"\xff")
    with pytest.raises(UserError, match="not a text file in UTF-8"):
        read_text(path, REMEDY)


def test_yaml_with_a_merge_conflict_says_so(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    path.write_text("stages:\n<<<<<<< HEAD\n  a: 1\n=======\n  a: 2\n>>>>>>> theirs\n")
    with pytest.raises(UserError, match=r"dvc\.lock has the marks of a merge conflict"):
        read_yaml(path)
    path.write_text('a: "\\e[2J"\n')
    with pytest.raises(UserError, match="control characters"):
        read_yaml(path)


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def with_members(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("_npy", ".npy"), content)
    return buffer.getvalue()


def npy(shape: str, data: bytes, descr: str = "'<f8'") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@given(
    st.sampled_from(["<f8", ">i2", "|u1", "<f2", "|b1", "<U3"]),
    st.lists(st.integers(0, 4), max_size=3).map(tuple),
    st.booleans(),
)
def test_arrays_are_as_numpy_reads_them(
    dtype: str, shape: tuple[int, ...], is_fortran: bool
) -> None:
    array = np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape)
    array = np.asfortranarray(array) if is_fortran else array
    found = arrays_of(npz(a=array), NPZ, "")["a"]
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert found.flags.writeable


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "not a .npz file"),
        (npy("(2,)", bytes(16)), "not a .npz file"),
        (with_members(a=b"text"), "'a' is not a numpy array"),
        (with_members(a_npy=b""), "'a' cannot be read"),
        (with_members(a_npy=npy("(1000000000000,)", bytes(8))), "its header says 8,000,000,000"),
        (with_members(a_npy=npy("(3,)", bytes(8))), "its header says 24"),
        (with_members(a_npy=npy("(1,)", bytes(80))), "its header says 8"),
        (with_members(a_npy=npy("(-1,)", bytes(8))), "cannot be read"),
        (with_members(a_npy=npy("(1,)", pickle.dumps(print), "'|O'")), "a pickle"),
        (with_members(a_npy=npy("(" * 60 + ")" * 60, b"")), "its header says 8"),
        (with_members(a_npy=pickle.dumps([1])), "no header"),
    ],
)
def test_archives_that_lie_are_refused(content: bytes, found: str) -> None:
    with pytest.raises(UserError, match=rf"a\.npz.*{found}"):
        arrays_of(content, NPZ, REMEDY)


def test_a_bomb_is_not_unpacked() -> None:
    content = with_members(a_npy=npy("(25000000,)", bytes(200_000_000)))
    assert len(content) < 300_000
    tracemalloc.start()
    with (
        pytest.raises(UserError, match=r"a\.npz.*at most 100,000,000"),
        open_npz(io.BytesIO(content), NPZ, REMEDY, 100_000_000),
    ):
        pass
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_an_array_that_is_given_twice_or_has_another_checksum_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.npy", npy("(1,)", bytes(8)))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.npy", npy("(1,)", bytes(8)))
    with pytest.raises(UserError, match="'a' twice"):
        arrays_of(buffer.getvalue(), NPZ, REMEDY)
    plain = io.BytesIO()
    np.savez(plain, a=np.zeros(100))
    content = bytearray(plain.getvalue())
    content[500] ^= 1
    with pytest.raises(UserError, match="CRC"):
        arrays_of(bytes(content), NPZ, REMEDY)


def test_a_mapped_array_has_the_type_that_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.save(path, images)
    found = map_array(path, REMEDY, np.uint8)
    np.testing.assert_array_equal(found, images)
    found[0, 0, 0] = 9  # which does not reach the file
    np.testing.assert_array_equal(np.load(path), images)
    np.save(path, images.astype(float))
    with pytest.raises(UserError, match=r"a\.npy.*float64, not uint8.*again"):
        map_array(path, REMEDY, np.uint8)
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.npy.*again"):
        map_array(path, REMEDY, np.uint8)


def tensors(header: object, data: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def one(first: int, last: int, shape: tuple[int, ...] = (1,)) -> dict[str, object]:
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [first, last]}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "longer than the file"),
        ((2**62).to_bytes(8, "little") + b"{}", "longer than the file"),
        (tensors(b" " * (5 * 1024**2)), "at most 4,194,304"),
        (tensors({"a": one(0, 8, (2,)), "b": one(4, 8)}), "'b' overlaps"),
        (tensors({"a": one(4, 8)}), "'a' overlaps another one, or there is a gap"),
        (tensors({"a": one(0, 4)}), "do not fill the file"),
        (tensors({"a": one(0, 80, (20,))}), "do not fill the file"),
        (tensors({"a": one(0, 8, (3,))}), "SafetensorError"),
        (tensors({"a": one(8, 0)}), "offsets 8 and 0"),
        (tensors({"a": one(0, 8) | {"dtype": "O"}}), "SafetensorError"),
        (tensors([]), "no object"),
        (tensors(b"[" * 100_000), "RecursionError"),
        (pickle.dumps({"a": 1}), "longer than the file|JSON"),
    ],
)
def test_safetensors_that_lie_are_refused(content: bytes, found: str) -> None:
    with pytest.raises(UserError, match=rf"w\.safetensors is not a safetensors file.*({found})"):
        tensors_of(content, WEIGHTS, REMEDY)


def test_weights_are_read_as_they_were_written() -> None:
    given_ = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(2.0), "c": torch.ones(0, 3)}
    found = tensors_of(save(given_, {"note": "x"}), WEIGHTS, REMEDY)
    assert found.keys() == given_.keys()
    assert all(torch.equal(found[name], given_[name]) for name in given_)


def parquet(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path, compression="zstd")
    return path


def test_tables_of_few_bytes_and_many_cells_are_refused(tmp_path: Path) -> None:
    rows = parquet(tmp_path / "rows.parquet", pa.table({"x": np.zeros(60_000_000, np.int8)}))
    assert rows.stat().st_size < 1_000_000
    with pytest.raises(UserError, match=r"rows\.parquet.*60,000,000 rows"):
        read_table(rows, REMEDY)
    # A megabyte of text in each of 20,000 rows takes a megabyte, as it is written once.
    dictionary = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(20_000, np.int32)), pa.array(["x" * 1_000_000])
    )
    texts = parquet(tmp_path / "texts.parquet", pa.table({"x": dictionary}))
    assert texts.stat().st_size < 2_000_000
    with pytest.raises(UserError, match=r"texts\.parquet.*its texts have 20,000,000,000 bytes"):
        read_table(texts, REMEDY)
    lists = parquet(tmp_path / "lists.parquet", pa.table({"x": [[1], [2]]}))
    with pytest.raises(UserError, match="holds list"):
        read_table(lists, REMEDY)
    commands = parquet(tmp_path / "commands.parquet", pa.table({"x": ["a\x1b[2J"]}))
    with pytest.raises(UserError, match="control characters"):
        read_table(commands, REMEDY)


READ_DAMAGED = """
import sys
from pathlib import Path
from vaebench.errors import UserError
from vaebench.reading.tables import read_table

path, content = Path("damaged.parquet"), Path("whole.parquet").read_bytes()
size = int.from_bytes(content[-8:-4], "little")
refused = 0
for place in range(len(content) - 8 - size, len(content) - 8):
    for other in (0, (content[place] + 1) % 256):
        path.write_bytes(content[:place] + bytes([other]) + content[place + 1:])
        print(place, other, flush=True)
        try:
            read_table(path, "")
        except UserError:
            refused += 1
print("refused", refused)
"""


def test_no_byte_of_the_head_of_a_table_ends_the_process(tmp_path: Path) -> None:
    """pyarrow aborts where it meets a damaged size of levels while it tells of a column."""
    frame = pd.DataFrame({"x": [0.5, 1.5] * 25, "name": ["a", "bb"] * 25})
    frame.to_parquet(tmp_path / "whole.parquet", index=False, write_page_checksum=True)
    command = [sys.executable, "-c", READ_DAMAGED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout.splitlines()[-1], done.stderr[-500:])
    assert int(done.stdout.split()[-1]) > 500


def test_a_table_is_as_pandas_reads_it(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": ["x", None, "y"], "b": [1.5, None, 2], "c": [1, 2, 3], "d": [True, False, None]}
    )
    frame.to_parquet(tmp_path / "a.parquet", index=False, write_page_checksum=True)
    found = read_table(tmp_path / "a.parquet", REMEDY)
    pd.testing.assert_frame_equal(found, pd.read_parquet(tmp_path / "a.parquet"))


def test_a_table_of_other_columns_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "evidence"
    shutil.copytree(PROJECT / "results" / "published" / "evidence", root)
    path = root / "runs.parquet"
    runs = pd.read_parquet(path)
    for table, found in (
        (pd.DataFrame({"x": [1]}), r"runs\.parquet lacks the columns .*objective.*test_elbo"),
        (runs.drop(columns="seed"), "lacks the columns seed: collect"),
        (runs.assign(test_mse="<b>"), "no numbers in its column test_mse"),
    ):
        table.to_parquet(path)
        with pytest.raises(UserError, match=found):
            load_results(root)
    runs.to_parquet(path)
    assert len(load_results(root).runs) == len(runs)


def test_pictures_that_unpack_without_end_are_refused(tmp_path: Path) -> None:
    Image.new("1", (9000, 8000)).save(tmp_path / "large.png")
    assert (tmp_path / "large.png").stat().st_size < 100_000
    images = files_of(tmp_path, ["large.png"])
    with (
        pytest.raises(UserError, match=r"large\.png' has 9000x8000 pixels; at most 64,000,000"),
        open_image(images, "large.png", ("PNG",)),
    ):
        pass
    packed = tmp_path / "images.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("1.jpg", bytes(300 * 1024**2))
    with pytest.raises(UserError, match=r"images\.zip: '1\.jpg' has 314,572,800 bytes unpacked"):
        open_archive(packed)


def test_texts_command_no_terminal_and_are_no_markup() -> None:
    assert printable("a\x1b[2J\r\u202eb\x9b") == "a\\x1b[2J\\r\\u202eb\\x9b"
    assert printable("Σ é\n\tx") == "Σ é\n\tx"
    assert escape("<img src=x onerror=alert(1)> | a\nb") == (
        "\\<img src=x onerror=alert(1)\\> \\| a b"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r'"a\\b"', False), (r'"\b"', True), (r'"\\\b"', True), (r'"\u0041"', False),
        (r'"\u001b"', True), (r'"\\u001b"', False), (r'"\u202e"', True),
    ],
)  # fmt: skip
def test_a_backslash_before_a_letter_is_no_control_character(text: str, found: bool) -> None:
    assert bool(CONTROL_IN_JSON.search(text)) == found
