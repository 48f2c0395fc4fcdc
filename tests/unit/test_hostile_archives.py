"""Archives of strangers: each is refused with the name of what is wrong, and nothing is written."""

import contextlib
import io
import json
import os
import shutil
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.archives import edit, pack, pack_tier, reseal, with_checksums
from tests.registries import registries_apart
from vaebench.errors import UserError
from vaebench.paths import Layout
from vaebench.sharing import parse
from vaebench.sharing import unpack as unpacking
from vaebench.sharing.archive import export_tier, import_tier
from vaebench.sharing.names import check_names, name_problem
from vaebench.sharing.tar import read_members

RUN = "posterior_variance/objective~bilbo/latent_dim~2/seed~1"
METRICS = f"runs/{RUN}/metrics.json"
ESCAPE = "\x1b[2J"


def refused(archive: Path, tmp_path: Path, message: str) -> str:
    """Import an archive, which has to be refused, and look that nothing was written."""
    results, store = tmp_path / "results", tmp_path / "store"
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(UserError, match=message) as caught:
        import_tier(archive, results, store)
    assert [path.name for path in results.iterdir()] == [".import.lock"]
    assert not store.exists()
    assert {path.name for path in tmp_path.iterdir()} <= {*before, "results"}
    assert str(caught.value).replace("\n", " ").isprintable()
    return str(caught.value)


def first(layout: Layout) -> tuple[str, bytes]:
    return "manifest.json", layout.manifest.read_bytes()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (tarfile.SYMTYPE, "'claims.md' is a symbolic link"),
        (tarfile.LNKTYPE, "'claims.md' is a hard link"),
        (tarfile.CHRTYPE, "'claims.md' is a character device"),
        (tarfile.BLKTYPE, "'claims.md' is a block device"),
        (tarfile.FIFOTYPE, "'claims.md' is a pipe"),
        (tarfile.DIRTYPE, "'claims.md/?' is a folder"),
        (tarfile.GNUTYPE_SPARSE, "'claims.md' is a sparse file"),
        (tarfile.CONTTYPE, "'claims.md' is of the unknown kind b'7'"),
    ],
)
def test_only_plain_files_are_taken(
    layout: Layout, tmp_path: Path, kind: bytes, message: str
) -> None:
    archive = pack(tmp_path / "a.tar", [first(layout), ("claims.md", b"")], {"claims.md": kind})
    refused(archive, tmp_path, message)


@pytest.mark.parametrize(
    "name",
    [
        "../outside", "runs/../../outside", "/tmp/outside", "./claims.md", "a//b", "logs/a.log",
        "benchmarks/a.tsv", "runs/manifest.json", "claims.md\n", f"figures/{ESCAPE}.png",
        "figures/fig\u202e05.png", "figures/FIG05.png", "..", "", "figures/a\\b.png",
        "tables/e\u0301.csv", "runs/" + "a~1/" * 30 + "metrics.json", "runs/x/" + "a" * 300,
        "hashes.txt", "weights/x/manifest.json", ".dvc/config", "figures/fig05.exe",
    ],
)  # fmt: skip
def test_names_that_no_tier_has(layout: Layout, tmp_path: Path, name: str) -> None:
    assert name_problem(name) is not None
    archive = pack(tmp_path / "a.tar", [first(layout), (name, b"x")])
    refused(archive, tmp_path, "is refused|is not")
    listed = pack_tier(tmp_path / "a.tar", layout, lambda v: v["files"].update({name: "0" * 64}))
    refused(listed, tmp_path, "refused|is no plain path|has control characters")
    weights = pack_tier(tmp_path / "a.tar", layout, lambda v: v["weights"].update({name: "0" * 64}))
    refused(weights, tmp_path, "refused|is no plain path|has control characters")


def test_every_name_of_a_tier_is_taken(layout: Layout) -> None:
    names = [p.relative_to(layout.root).as_posix() for p in layout.root.rglob("*") if p.is_file()]
    check_names(names)
    check_names(["runs/x/metrics.json", "codes/x/..js", "weights/x/a~-1e-05/model.safetensors"])
    for pair in (
        ["runs/x/a~b/metrics.json", "runs/x/A~b/metrics.json"],
        ["runs/x/a~B/metrics.json", "runs/x/a~b/arrays.npz"],
        ["codes/x/a~1.js", "codes/x/a~1.js/b~1.js"],
    ):
        with pytest.raises(UserError, match="refused"):
            check_names(pair)


def test_members_twice_or_unknown(layout: Layout, tmp_path: Path) -> None:
    claims = ("claims.md", layout.claims("md").read_bytes())
    for members, message in (
        ([first(layout), claims, claims], "'claims.md' twice"),
        ([first(layout), first(layout)], "'manifest.json' twice"),
        ([first(layout), ("figures/fig99.svg", b"")], "does not name 'figures/fig99.svg'"),
        ([first(layout), ("claims.md", b"x")], "'claims.md' does not have the digest"),
        ([first(layout)], "'.*' is missing"),
        ([claims, first(layout)], "no manifest first"),
        ([], "is empty"),
    ):
        refused(pack(tmp_path / "a.tar", members), tmp_path, message)


def header(name: str, size: int = 0, kind: bytes = b"0") -> bytes:
    made = tarfile.TarInfo(name)
    made.size, made.type = size, kind
    return made.tobuf(tarfile.USTAR_FORMAT)


def extended(records: bytes, kind: bytes = b"x") -> bytes:
    return header("x", len(records), kind) + records.ljust(-(-len(records) // 512) * 512, b"\0")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (extended(b"20 linkpath=/etc/x\n\n"), "sets b'linkpath'|not valid"),
        (extended(b"17 size=99999999\n"), "sets b'size'"),
        (extended(b"22 GNU.sparse.major=1\n"), "sets b'GNU.sparse.major'"),
        (extended(b"19 hdrcharset=BIN\n\n"), "not valid|sets b'hdrcharset'"),
        (extended(b"999 path=short\n"), "not valid"),
        (extended(b"path=a\n"), "not valid"),
        (extended(b"12 path=\xff\xfe\n"), "not valid|is not UTF-8"),
        (extended(b"13 path=a\0bc\n"), "unusual header"),
        (extended(b"10 path=a\n") * 2, "unusual header"),
        (extended(b"10 path=a\n", b"g"), "a global header"),
        (extended(b"10 path=a\n", b"K"), "a long link"),
        (header("x", 2 * 1024**3, b"x"), "unusual header"),
        (header("x", 2 * 1024**3, b"L"), "unusual header"),
        (header("claims.md", 8 * 1024**3 - 1), "has 8,589,934,591 bytes"),
        (extended(b"10 path=a\n") + b"\0" * 1024, "no file follows the name 'a'"),
    ],
)
def test_unusual_headers(layout: Layout, tmp_path: Path, content: bytes, message: str) -> None:
    archive = pack(tmp_path / "a.tar", [first(layout)])
    whole = archive.read_bytes().rstrip(b"\0")
    whole = whole.ljust(-(-len(whole) // 512) * 512, b"\0")
    archive.write_bytes(whole + content + header("claims.md") + b"\0" * 1024)
    refused(archive, tmp_path, message)


def test_a_header_whose_size_is_no_usual_number(layout: Layout, tmp_path: Path) -> None:
    """GNU tar writes sizes above 8 GiB in base 256, which can be negative too."""
    one = bytearray(header("claims.md"))
    one[124:136] = b"\xff" * 12
    archive = pack(tmp_path / "a.tar", [first(layout)])
    whole = archive.read_bytes().rstrip(b"\0")
    whole = whole.ljust(-(-len(whole) // 512) * 512, b"\0")
    total = sum(one[:148]) + 256 + sum(one[156:])
    one[148:156] = b"%06o\0 " % total
    archive.write_bytes(whole + bytes(one) + b"\0" * 1024)
    refused(archive, tmp_path, "a size that is not usual")


def test_the_sum_of_sizes_and_the_number_of_files_are_limited(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = export_tier(layout, tmp_path / "a.tar", True)
    monkeypatch.setattr(unpacking, "LARGEST_SUM", 200_000)
    refused(archive, tmp_path, "files have more than 200,000 bytes")
    monkeypatch.undo()
    monkeypatch.setattr(unpacking, "MOST_FILES", 20)
    refused(archive, tmp_path, "it names 39 files")
    monkeypatch.undo()
    monkeypatch.setattr(unpacking, "LARGEST_FILE", 10_000)
    refused(archive, tmp_path, "has .* bytes")


def test_a_sparse_archive_is_not_read_into_memory(layout: Layout, tmp_path: Path) -> None:
    """The file says that a member has 200 MB, and has them as a hole."""
    archive = pack(tmp_path / "a.tar", [first(layout)])
    whole = archive.read_bytes().rstrip(b"\0")
    whole = whole.ljust(-(-len(whole) // 512) * 512, b"\0")
    archive.write_bytes(whole + header("claims.md", 200 * 1024**2))
    os.truncate(archive, len(whole) + 512 + 200 * 1024**2 + 1024)
    tracemalloc.start()
    refused(archive, tmp_path, "'claims.md' does not have the digest")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * 1024**2


@settings(max_examples=300)
@given(data=st.data())
def test_headers_with_any_bytes(data: st.DataObject) -> None:
    """Bytes of headers are replaced, and the checksum is made anew: the reader alone is tried."""
    names = ["manifest.json", "claims.md", "x" * 90 + "/" + "y" * 90, "é" * 60]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            one = tarfile.TarInfo(name)
            one.size = 700
            archive.addfile(one, io.BytesIO(b"z" * 700))
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        block = data.draw(st.sampled_from(range(0, len(content) - 512, 512)))
        place = data.draw(st.integers(0, 511))
        content[block + place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UserError):
        for _, size, pieces in read_members(io.BytesIO(with_checksums(bytes(content)))):
            assert sum(map(len, pieces)) == size <= len(content)


def nested(values: dict[str, Any]) -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    values["extra"] = deep


RECORDS: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("nested", nested, "nested"),
    ("nan", lambda v: v["timing"].update(seconds=float("nan")), "has the number NaN"),
    ("infinity", lambda v: v["final"]["test"].update(elbo=float("inf")), "has the number Infinity"),
    ("negative", lambda v: v["timing"].update(seconds=-1.0), "timing.seconds is negative"),
    ("negative mse", lambda v: v["final"]["test"].update(mse=-1.0), "final.test.mse is negative"),
    ("enormous", lambda v: v["final"]["test"].update(elbo=1e300), "larger than any number"),
    ("long", lambda v: v["history"][0].update(step=10**300), "larger than any number"),
    ("missing", lambda v: v["final"]["test"].pop("elbo"), "no valid record"),
    ("unknown", lambda v: v.update(more=1), "no valid record"),
    ("history", lambda v: v.update(history=[]), "has no history"),
    ("epochs", lambda v: v["history"][0].update(epoch=9), "ends at epoch 9 of 1"),
    ("diverged", lambda v: v.update(status="diverged"), "diverged"),
    ("units", lambda v: v["final"]["test"].update(active_units=9), "active_units is 9 of 2"),
    ("threads", lambda v: v["worker"].update(threads=0), "worker.threads is 0"),
]


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in RECORDS])
def test_records_that_cannot_be_those_of_runs(
    layout: Layout, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit(layout.root / METRICS, change)
    said = refused(pack_tier(tmp_path / "a.tar", layout), tmp_path, message)
    assert METRICS in said


@pytest.mark.parametrize("name", ["manifest.json", "claims.json", f"runs/{RUN}/evaluation.json"])
def test_deeply_nested_json(layout: Layout, tmp_path: Path, name: str) -> None:
    path = layout.root / name
    path.write_text("[" * 200_000 + "]" * 200_000)
    if name == "manifest.json":
        archive = pack(tmp_path / "a.tar", [(name, path.read_bytes())])
    else:
        archive = pack_tier(tmp_path / "a.tar", layout)
    refused(archive, tmp_path, f"{name}.* nested more than")


def lying_npz(path: Path) -> None:
    """The header of an array says that it has more numbers than there are."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": (2**40,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("kl.npy", buffer.getvalue() + b"\0" * 64)


def bomb_npz(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("kl.npy", "w", force_zip64=True) as file,
    ):
        for _ in range(8):
            file.write(bytes(1 << 20))


ARRAYS: list[tuple[Callable[[Path], object], str]] = [
    (lambda p: p.write_bytes(b"garbage"), "cannot be read"),
    (lambda p: p.write_bytes(b""), "cannot be read"),
    (lambda p: np.savez(p, kl=np.array([{"a": 1}], dtype=object)), "no numbers"),
    (lambda p: np.savez(p, kl=np.array(["text"])), "no numbers"),
    (lambda p: np.savez(p, kl=np.zeros(3), prior_std=np.zeros(2)), r"kl has|prior_std has"),
    (lambda p: np.savez(p, kl=np.zeros(2), prior_std=np.zeros(2)), "has no samples"),
    (lying_npz, "not as many numbers"),
    (bomb_npz, "have more than"),
]


@pytest.mark.parametrize(("write", "message"), ARRAYS)
def test_arrays_that_are_none(
    layout: Layout,
    tmp_path: Path,
    write: Callable[[Path], object],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parse, "LARGEST_ARRAYS", 4 << 20)
    write(layout.root / "runs" / RUN / "arrays.npz")
    reseal(layout, RUN)
    said = refused(pack_tier(tmp_path / "a.tar", layout), tmp_path, message)
    assert f"{RUN}/arrays.npz" in said


def tensors(header: dict[str, Any], content: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + content


WEIGHTS = [
    b"",
    b"garbage",
    tensors({}, length=2**40),
    tensors(
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        },
        bytes(12),
    ),
    tensors({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}}, bytes(8)),
    tensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}),
]


@pytest.mark.parametrize("content", WEIGHTS)
def test_weights_that_are_none(layout: Layout, tmp_path: Path, content: bytes) -> None:
    (layout.root / "weights" / RUN / "model.safetensors").write_bytes(content)
    reseal(layout, RUN)
    said = refused(pack_tier(tmp_path / "a.tar", layout), tmp_path, "cannot be read")
    assert f"{RUN}/model.safetensors" in said


def many_rows(path: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 3_000_000, pa.int32()), ["x" * 1000])
    pq.write_table(pa.table({"experiment": column}), path)


def long_texts(path: Path) -> None:
    """Four rows, as many as runs, of 3 MB each: some kilobytes on the disk."""
    table = pa.table({"experiment": pa.array(["x" * 3_000_000] * 4)})
    pq.write_table(table, path, compression="zstd")


TABLES: list[tuple[Callable[[Path], object], str]] = [
    (lambda p: p.write_bytes(b"PAR1garbagePAR1"), "cannot be read"),
    (lambda p: p.write_bytes(b""), "cannot be read"),
    (many_rows, "3,000,000 rows"),
    (long_texts, "more than|have more than"),
    (lambda p: pd.read_parquet(p).iloc[:3].to_parquet(p), "has 3 rows, and its runs 4"),
]


@pytest.mark.parametrize(("write", "message"), TABLES)
def test_tables_that_are_none(
    layout: Layout,
    tmp_path: Path,
    write: Callable[[Path], object],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parse, "LARGEST_TABLE", 4 << 20)
    write(layout.runs)
    said = refused(pack_tier(tmp_path / "a.tar", layout), tmp_path, message)
    assert "runs.parquet" in said


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("figures/fig05.svg", b"<svg><script>alert(1)</script></svg>", "more than a picture"),
        ("figures/fig05.svg", b"<svg onload='alert(1)'/>", "more than a picture"),
        ("figures/fig05.svg", b"<svg><a href='javascript:x'/></svg>", "more than a picture"),
        ("figures/fig05.svg", b"<!DOCTYPE x [<!ENTITY a 'b'>]><svg/>", "more than a picture"),
        ("figures/fig05.svg", b"<svg/>", "does not say what it was drawn from"),
        ("figures/fig05.png", b"garbage", "cannot be read|not a PNG"),
        ("claims.md", b"\xff\xfe", "cannot be read"),
        ("claims.md", b"all is reproduced", "claims.md"),
        ("index.html", b"<script>alert(1)</script>", "index.html: line 1"),
        (f"codes/{RUN}.js", b"alert(1)", f"codes/{RUN}.js: line 1"),
        ("config.yaml", b"[" * 10_000, "config.yaml is not valid YAML"),
        ("config.yaml", b"tier: small\nexperiments: 3\nfigures: []\n", "config.yaml is refused"),
        ("config.yaml", b"claims: /etc/passwd", "the list itself"),
    ],
)
def test_files_that_are_not_what_they_say(
    layout: Layout, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (layout.root / name).write_bytes(content)
    refused(pack_tier(tmp_path / "a.tar", layout), tmp_path, message)


def test_the_tier_of_the_config_is_that_of_the_manifest(layout: Layout, tmp_path: Path) -> None:
    """Or else the import of one tier would mark another as current."""
    text = layout.config.read_text()
    layout.config.write_text(text.replace("tier: small", "tier: other"))
    refused(pack_tier(tmp_path / "a.tar", layout), tmp_path, "of the tier 'small', and.*'other'")
    layout.config.write_text(text.replace("tier: small", "tier: published"))
    archive = pack_tier(tmp_path / "a.tar", layout, lambda v: v.update(tier="published"))
    refused(archive, tmp_path, "'published'")


def test_a_grid_without_end_is_refused_before_it_is_made(layout: Layout, tmp_path: Path) -> None:
    seeds = f"[{', '.join(map(str, range(1000)))}]"
    config = "tier: small\nexperiments:\n- name: x\n  settings: {}\n  axes:\n"
    config += "".join(f"    axis_{k}: {seeds}\n" for k in range(6)) + "figures: []\n"
    layout.config.write_text(config)
    refused(pack_tier(tmp_path / "a.tar", layout), tmp_path, "plans 1,000,000,000,000,000,000 runs")


def test_what_the_config_does_not_ask_for_is_refused(layout: Layout, tmp_path: Path) -> None:
    shutil.copy(layout.figure("fig05", "png"), layout.figure("fig08", "png"))
    archive = pack_tier(tmp_path / "a.tar", layout, add=["figures/fig08.png"])
    refused(archive, tmp_path, "fig08.png.* does not ask for it")


def test_a_plugin_is_not_run_unasked(layout: Layout, tmp_path: Path) -> None:
    """Wherever it is: beside the config, or a file that is here already."""
    mark = tmp_path / "it-ran"
    plugin = tmp_path / "own.py"
    plugin.write_text(f"from pathlib import Path\nPath({str(mark)!r}).touch()\n")
    layout.config.write_text(f"plugins: [{plugin}]\n" + layout.config.read_text())
    archive = pack_tier(tmp_path / "a.tar", layout)
    said = refused(archive, tmp_path, "a program, which is not run unasked")
    assert str(plugin) in said.replace("\n", "")
    assert not mark.exists()
    other = tmp_path / "other.py"
    other.write_text("")
    with pytest.raises(UserError, match="not run unasked"):
        import_tier(archive, tmp_path / "results", tmp_path / "store", [other])
    assert not mark.exists()
    with registries_apart():
        imported = import_tier(archive, tmp_path / "results", tmp_path / "store", [plugin])
    assert mark.exists()
    assert imported.config.exists()


def test_a_folder_with_links_is_refused(layout: Layout, tmp_path: Path) -> None:
    target = tmp_path / "target"
    shutil.move(layout.claims("md"), target)
    layout.claims("md").symlink_to(target)
    refused(layout.root, tmp_path, "claims.md is refused: .* a symbolic link")
    layout.claims("md").unlink()
    os.mkfifo(layout.claims("md"))
    refused(layout.root, tmp_path, "claims.md is refused: it is not a plain file")
    layout.claims("md").unlink()
    shutil.move(target, layout.claims("md"))
    shutil.move(layout.root / "figures", tmp_path / "figures")
    (layout.root / "figures").symlink_to(tmp_path / "figures")
    refused(layout.root, tmp_path, "is behind, a symbolic link")
