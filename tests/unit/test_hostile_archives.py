"""Archives of strangers: each is refused with the name of what is wrong, and nothing is written."""

import contextlib
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.archives import pack, pack_tier, refused, with_checksums
from vaebench.errors import UserError
from vaebench.paths import Layout
from vaebench.sharing import unpack as unpacking
from vaebench.sharing.archive import export_tier, import_tier
from vaebench.sharing.names import check_names, name_problem
from vaebench.sharing.tar import read_members

ESCAPE = "\x1b[2J"


def first(layout: Layout) -> tuple[str, bytes]:
    return "manifest.json", layout.manifest.read_bytes()


def test_a_pipe_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is neither a file nor a folder"):
        import_tier(tmp_path / "pipe", tmp_path / "results", tmp_path / "store")


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
