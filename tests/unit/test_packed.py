"""Packed histories of records: nothing is lost, and damage is found."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import PROJECT
from vaebench.errors import UserError
from vaebench.files import digest_bytes, write_atomically
from vaebench.paths import PUBLISHED
from vaebench.reading.packed import LARGEST, pack, unpack
from vaebench.reading.thin import is_copy_of, whole_digest, whole_digest_of
from vaebench.runs.record import read_record

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
points = st.fixed_dictionaries({"epoch": st.integers(1, 400), "elbo": numbers, "rate": numbers})


def text(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()


def record_path() -> Path:
    return next((PROJECT / PUBLISHED / "runs").rglob("metrics.json"))


@given(history=st.lists(points), name=st.text())
def test_what_was_packed_comes_back_to_the_byte(history: list[Any], name: str) -> None:
    whole = text({"name": name, "history": history, "sha256": "0"})
    small = pack(whole)
    assert unpack(small) == whole
    assert unpack(whole) == whole
    assert pack(small) == small
    assert whole_digest(small) == whole_digest(whole) == digest_bytes(whole)


def test_a_record_reads_alike_packed_and_whole_and_is_much_smaller(tmp_path: Path) -> None:
    whole = unpack(record_path().read_bytes())
    path, other = tmp_path / "whole" / "metrics.json", tmp_path / "packed" / "metrics.json"
    write_atomically(path, whole)
    write_atomically(other, pack(whole))
    assert len(pack(whole)) < 0.65 * len(whole)
    assert read_record(other) == read_record(path)
    assert read_record(other).history
    assert whole_digest_of(other) == digest_bytes(whole)
    assert is_copy_of(other, digest_bytes(whole))
    # What it is about stays text.
    assert json.loads(other.read_text())["final"] == json.loads(whole)["final"]


def test_a_record_that_is_written_otherwise_stays_whole() -> None:
    values = json.loads(unpack(record_path().read_bytes()))
    for other in (json.dumps(values).encode(), text(values) + b"\n"):
        assert pack(other) == other


def packed(history: bytes) -> str:
    return "zlib, base64: " + base64.b64encode(zlib.compress(history)).decode()


@pytest.mark.parametrize(
    "history",
    [
        packed(b"[{"),
        packed(b"[NaN]"),
        packed(b"[" * 100_000),
        packed(b'"' + b" " * LARGEST + b'"'),
        packed(b"[]")[:-8],
        packed(b"[]") + "!",
        packed(b"[]").replace("zlib", "gzip"),
        packed(b"{}"),
        packed(json.dumps(packed(b"[]")).encode()),
    ],
    ids=["json", "nan", "deep", "large", "short", "base64", "mark", "object", "twice"],
)
def test_a_damaged_history_is_no_valid_record(history: str, tmp_path: Path) -> None:
    values = json.loads(unpack(record_path().read_bytes()))
    path = tmp_path / "metrics.json"
    path.write_bytes(text(values | {"history": history}))
    with pytest.raises(UserError, match=r"metrics\.json is no valid record"):
        read_record(path)


def test_a_changed_history_has_not_the_digest_of_its_record(tmp_path: Path) -> None:
    values = json.loads(unpack(record_path().read_bytes()))
    values["history"][0]["step"] += 1
    path = tmp_path / "metrics.json"
    path.write_bytes(pack(text(values)))
    with pytest.raises(UserError, match="changed by hand: it has not the digest"):
        read_record(path)
