"""Archives whose members are not what their names say."""

import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.archives import METRICS, RUN, edit, pack, pack_tier, refused, reseal
from tests.registries import registries_apart
from vaebench.errors import UserError
from vaebench.paths import Layout
from vaebench.sharing import parse
from vaebench.sharing.archive import import_tier

ESCAPE = "\x1b[2J"


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
