"""Thin copies: what they lack, what they still prove, and what is said where something lacks."""

import io
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.tiers import make_results
from vaebench.cli import app
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.evaluation.arrays import to_npz
from vaebench.figures.draw import draw_figure
from vaebench.files import digest_bytes
from vaebench.page.assemble import write_page
from vaebench.paths import Layout
from vaebench.provenance.verify import verify
from vaebench.reading.arrays import noting, read_arrays
from vaebench.reading.thin import is_copy_of, left_out, thin, whole_digest
from vaebench.results.read import load_results
from vaebench.runs.record import read_record
from vaebench.runs.store import get_run, run_folder
from vaebench.sharing.adopt import adopt_runs
from vaebench.sharing.archive import export_tier, import_tier
from vaebench.verification.whole import verify_whole

ARRAYS = {"codes": np.arange(6.0).reshape(3, 2), "kl": np.ones(2), "grid": np.zeros((9, 9))}


@given(
    keep=st.sets(st.sampled_from(sorted(ARRAYS))), again=st.sets(st.sampled_from(sorted(ARRAYS)))
)
def test_a_thin_copy_names_what_it_is_of_and_what_it_lacks(keep: set[str], again: set[str]) -> None:
    whole = to_npz(ARRAYS)
    copy = thin(thin(whole, keep), again)
    assert whole_digest(copy) == whole_digest(whole) == digest_bytes(whole)
    assert left_out(copy) == sorted(ARRAYS.keys() - (keep & again))
    assert copy == thin(whole, keep & again)
    with np.load(io.BytesIO(copy)) as found:
        assert set(found) == keep & again
        assert all(np.array_equal(found[name], ARRAYS[name]) for name in found)


def test_a_whole_file_and_any_other_content_stand_for_themselves() -> None:
    whole = to_npz(ARRAYS)
    assert thin(whole, ARRAYS) == whole
    for content in (whole, b"", b"vaebench: thin copy of " + b"0" * 64 + b" without kl"):
        assert whole_digest(content) == digest_bytes(content)
        assert left_out(content) == []


def test_a_question_for_what_was_left_out_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    path.write_bytes(thin(to_npz(ARRAYS), {"kl"}))
    arrays = read_arrays(path, "", digest_bytes(to_npz(ARRAYS)))
    assert list(arrays) == ["kl"]
    with noting() as noted:
        assert arrays["kl"].sum() == 2
        assert "prior" not in arrays
        assert arrays.get("labels") is None
        for ask in (arrays.__getitem__, arrays.get, arrays.__contains__):
            with pytest.raises(UserError, match=r"arrays\.npz is a thin copy without .* 'grid'"):
                ask("grid")
    assert noted == {path: {"kl", "prior", "labels", "grid"}}
    assert "codes" not in arrays.keys()  # noqa: SIM118 - asks what is there, and not what it lacks
    with pytest.raises(UserError, match="not the file that its record names"):
        read_arrays(path, "", digest_bytes(b"other"))


@pytest.fixture(scope="module")
def published(finished_tier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thin copy of the small tier. No array of it counts as small, since those of digits are."""
    out = tmp_path_factory.mktemp("published") / "small"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaebench.sharing.thin.SMALL", 200)
        command = ["export", "--tier", str(finished_tier), "--out", str(out)]
        made = CliRunner().invoke(app, [*command, "--unpacked", "--thin"])
    assert made.exit_code == 0, made.output
    assert [path.name for path in out.parent.iterdir()] == ["small"]
    return out


@pytest.fixture
def kept(published: Path, tmp_path: Path) -> Layout:
    """A copy of the thin copy, to be changed."""
    return Layout(shutil.copytree(published, tmp_path / "kept" / "small"))


def npz_files(root: Path) -> list[Path]:
    return sorted((root / "runs").rglob("*.npz"))


def test_a_thin_tier_is_whole_and_gives_its_figures_to_the_byte(
    kept: Layout, layout: Layout, tmp_path: Path
) -> None:
    lacking = [path for path in npz_files(kept.root) if left_out(path.read_bytes())]
    assert lacking
    found = verify_whole(kept)
    assert (found.problems, found.unproven, found.thin) == ([], [], len(lacking))
    for name in ("claims.json", "claims.md", "runs.parquet", "history.parquet"):
        assert (kept.root / name).read_bytes() == (layout.root / name).read_bytes(), name
    # A further seed has no pictures; the first one has what the page shows.
    for path in npz_files(kept.root):
        with np.load(path) as arrays:
            assert {"prior_std", "kl"} <= set(arrays)
            assert ("samples" in arrays) == ("seed~0" in str(path)), path

    # Vector graphics are left out, and the page does not offer them.
    figures = sorted(path.name for path in (layout.root / "figures").iterdir())
    left = sorted(path.name for path in (kept.root / "figures").iterdir())
    assert left == [name for name in figures if not name.endswith(".svg")]
    offered = [
        re.findall(r'href="figures/\w+\.svg"', of.report.read_text()) for of in (layout, kept)
    ]
    assert [len(each) for each in offered] == [len(figures) - len(left), 0]
    # The page of a whole tier has its figures in itself. That of a thin copy refers to the PNG.
    for of, count in ((layout, 0), (kept, len(offered[0]))):
        assert len(re.findall(r'<img src="figures/\w+\.png"', of.report.read_text())) == count
    # Codes are shown of the first seed only.
    shown = {path: len(path.read_bytes()) for path in kept.codes.rglob("*.js")}
    assert all((size > 1000) == ("seed~0" in str(path)) for path, size in shown.items()), shown

    store = tmp_path / "store"
    imported = import_tier(kept.root, tmp_path / "results", store)
    # Histories are packed in the copy, and whole again in the store.
    for path in sorted((layout.root / "runs").rglob("metrics.json")):
        copied, whole = kept.root / path.relative_to(layout.root), path.read_bytes()
        assert len(copied.read_bytes()) < len(whole)
        assert get_run(store, read_record(copied).run_hash).metrics == whole
    results = load_results(imported.root)
    shutil.rmtree(imported.root / "figures")
    for name in results.tier.figures:
        draw_figure(results, name)
    assert sorted(path.name for path in (imported.root / "figures").iterdir()) == figures
    for path in sorted((layout.root / "figures").iterdir()):
        assert (imported.root / "figures" / path.name).read_bytes() == path.read_bytes()


def test_the_page_shows_the_runs_of_which_arrays_are_there(layout: Layout) -> None:
    said = "has the codes and samples of 3 of 4 runs"
    assert said not in layout.report.read_text()
    path = npz_files(layout.root)[-1]
    path.write_bytes(thin(path.read_bytes(), {"kl", "prior_std"}))
    assert said in write_page(load_results(layout.root)).read_text()


def test_what_a_thin_import_left_in_the_store_is_completed_by_a_whole_one(
    kept: Layout, layout: Layout, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    records = [read_record(path) for path in sorted((layout.root / "runs").rglob("metrics.json"))]

    def lacking() -> int:
        contents = [get_run(store, record.run_hash).arrays for record in records]
        return sum(bool(left_out(content)) for content in contents)

    adopt_runs(kept, store)
    assert lacking() > 0
    adopt_runs(layout, store)
    assert lacking() == 0
    # And a thin one takes nothing away.
    adopt_runs(kept, store)
    assert lacking() == 0


def test_a_thin_copy_of_another_file_is_refused(
    kept: Layout, layout: Layout, tmp_path: Path
) -> None:
    path = next(path for path in npz_files(kept.root) if left_out(path.read_bytes()))
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = archive.comment.replace(archive.comment.split()[4], b"0" * 64)
    record = read_record(path.with_name("metrics.json"))
    assert not is_copy_of(path, record.digests.arrays)
    assert any(str(path) in problem for problem in verify(kept).problems)
    adopt_runs(layout, tmp_path / "store")
    stored = run_folder(tmp_path / "store", record.run_hash) / "arrays.npz"
    stored.write_bytes(path.read_bytes())
    with pytest.raises(UserError, match=r"arrays\.npz is not the file that its record names"):
        get_run(tmp_path / "store", record.run_hash)


def test_an_archive_can_be_thin_and_verify_says_so(
    finished_tier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaebench.sharing.thin.SMALL", 200)
    small = export_tier(Layout(finished_tier), tmp_path / "thin.tar", False, thin=True)
    whole = export_tier(Layout(finished_tier), tmp_path / "whole.tar", False)
    assert small.stat().st_size < whole.stat().st_size
    imported = import_tier(small, tmp_path / "results", tmp_path / "store")
    said = CliRunner().invoke(app, ["verify", "--tier", str(imported.root)])
    assert said.exit_code == 0
    assert "files lack arrays that no figure, no claim and not the page needs" in said.output


def test_a_tier_with_images_of_people_is_published_without_any_image(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaebench.sharing.thin.SMALL", 100_000)
    monkeypatch.setitem(DATASETS, "digits", replace(DATASETS["digits"], is_public=False))
    out = tmp_path / "published" / "small"
    command = ["export", "--tier", str(layout.root), "--out", str(out), "--unpacked"]
    for options, said in (
        ((), "With --thin and without --weights, it is published without images"),
        (("--thin", "--weights"), "With --thin and without --weights"),
        (("--thin",), "fig13 shows images of digits, which may not be published"),
    ):
        refused = CliRunner().invoke(app, [*command, *options])
        assert isinstance(refused.exception, UserError)
        assert said in str(refused.exception)
        assert not out.exists()

    config = yaml.safe_load(layout.config.read_text())
    config["figures"].remove("fig13")
    layout.config.write_text(yaml.safe_dump(config, sort_keys=False))
    for path in (layout.root / "figures").glob("fig13.*"):
        path.unlink()
    make_results(layout)
    assert b"data:image/webp" in b"".join(p.read_bytes() for p in layout.codes.rglob("*.js"))
    made = CliRunner().invoke(app, [*command, "--thin"])
    assert made.exit_code == 0, made.output
    published = Layout(out)
    found = verify_whole(published)
    assert (found.problems, found.unproven, found.thin) == ([], [], 4)
    for path in npz_files(out):
        with np.load(path) as arrays:
            assert {"posterior_mean", "labels", "kl"} <= set(arrays), "what shows no image stays"
            assert [name for name in arrays if arrays[name].dtype == np.uint8] == ["labels"]
            assert all(arrays[name].size < 2 * 1797 + 1 for name in arrays)
    images = [path.read_bytes().count(b"data:image/webp") for path in published.codes.rglob("*.js")]
    assert images == [0, 0, 0, 0]
    assert b"data:image/webp" not in published.report.read_bytes()
    assert published.report.read_bytes().count(b'<img src="figures/') == len(config["figures"])
    imported = import_tier(out, tmp_path / "results", tmp_path / "store")
    assert verify(imported).problems == []


@pytest.mark.parametrize("options", [(), ("--unpacked",)])
def test_a_tier_with_a_plugin_of_a_relative_path_can_be_thin(
    layout: Layout, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "mine.py").write_text("ANSWER = 42\n")
    config = yaml.safe_load(layout.config.read_text())
    layout.config.write_text(yaml.safe_dump({"plugins": ["../mine.py"]} | config, sort_keys=False))
    make_results(layout)
    out = tmp_path / "else" / "where" / "small"
    command = ["export", "--tier", str(layout.root), "--out", str(out), "--thin", *options]
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.exception
    assert [path.name for path in out.parent.iterdir()] == ["small"]
    assert not list(tmp_path.glob(".*"))
