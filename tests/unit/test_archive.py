"""Sharing a tier as an archive: what comes out is what went in, and nothing else comes out."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.tiers import make_results
from vaebench.cli import app
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.paths import Layout
from vaebench.provenance.verify import verify
from vaebench.runs.record import checksum, read_record
from vaebench.runs.store import get_run, has_run, has_weights
from vaebench.sharing.archive import export_tier, import_tier, publish_tier


def contents(layout: Layout) -> dict[str, bytes]:
    return {
        path.relative_to(layout.root).as_posix(): path.read_bytes()
        for path in layout.root.rglob("*")
        if path.is_file()
    }


def hashes(layout: Layout) -> list[str]:
    return [read_record(p).run_hash for p in (layout.root / "runs").rglob("metrics.json")]


@pytest.mark.parametrize("weights", [True, False])
def test_a_tier_comes_out_as_it_went_in(layout: Layout, tmp_path: Path, weights: bool) -> None:
    archive = export_tier(layout, tmp_path / "out" / "small.tar", weights)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.tar"]
    again = export_tier(layout, tmp_path / "again" / "small.tar", weights)
    assert again.read_bytes() == archive.read_bytes()
    store = tmp_path / "store"
    imported = import_tier(archive, tmp_path / "results", store)
    assert imported.root == tmp_path / "results" / "small"
    expected = contents(layout)
    if not weights:
        expected = {name: c for name, c in expected.items() if not name.startswith("weights/")}
    assert contents(imported) == expected
    assert verify(imported).problems == []
    for run_hash in hashes(layout):
        assert has_run(store, run_hash)
        assert has_weights(store, run_hash) == weights
        assert (get_run(store, run_hash).weights is not None) == weights
    # Again is no harm; with the weights, they are added to what came without.
    whole = export_tier(layout, tmp_path / "whole.tar", True)
    import_tier(whole, tmp_path / "results", store)
    assert contents(imported) == contents(layout)
    assert all(has_weights(store, run_hash) for run_hash in hashes(layout))


def test_a_published_folder_holds_what_an_archive_does(layout: Layout, tmp_path: Path) -> None:
    folder = tmp_path / "published" / "small"
    for weights in (True, False):
        publish_tier(layout, folder, weights)
        assert verify(Layout(folder)).problems == []
        assert verify(Layout(folder)).weights_missing == (0 if weights else 4)
    assert [path.name for path in folder.parent.iterdir()] == ["small"]
    imported = import_tier(folder, tmp_path / "results", tmp_path / "store")
    assert contents(imported) == contents(Layout(folder))
    assert all(has_run(tmp_path / "store", run_hash) for run_hash in hashes(layout))
    (folder / "tables" / "posterior_variance.csv").write_text("other")
    with pytest.raises(UserError, match=r"posterior_variance\.csv' does not have the digest"):
        import_tier(folder, tmp_path / "elsewhere", tmp_path / "store")
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="is not a tier"):
        publish_tier(layout, tmp_path / "mine", False)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["sha256"]
    manifest["files"]["../../escaped"] = "0" * 64
    sealed = manifest | {"sha256": checksum(manifest)}
    (folder / "manifest.json").write_text(json.dumps(sealed))
    with pytest.raises(UserError, match="no plain path inside the tier"):
        import_tier(folder, tmp_path / "elsewhere", tmp_path / "store")


def test_publishing_removes_nothing_else(layout: Layout, tmp_path: Path) -> None:
    folder = publish_tier(layout, tmp_path / "published" / "small", True)
    with pytest.raises(UserError, match="is the tier itself"):
        publish_tier(layout, layout.root, False)
    for name in (".git/HEAD", "README.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
        before = contents(Layout(folder))
        with pytest.raises(UserError, match=f"holds {name}, which would be removed"):
            publish_tier(layout, folder, True)
        assert contents(Layout(folder)) == before
        (folder / name).unlink()
    publish_tier(layout, folder, False)
    publish_tier(layout, folder, True)
    # The only copy of weights is not given up either.
    shutil.rmtree(layout.root / "weights")
    with pytest.raises(UserError, match=r"holds weights/.*, which would be removed"):
        publish_tier(layout, folder, False)
    assert verify(Layout(folder)).weights_missing == 0


def test_publishing_that_is_cut_short_leaves_what_was_there(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publish_tier(layout, tmp_path / "published" / "small", False)
    before, replace_folder = contents(Layout(folder)), os.replace

    def stopped(source: Path, target: Path) -> None:
        if Path(target) == folder and Path(source).name != "old":
            raise KeyboardInterrupt
        replace_folder(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            publish_tier(layout, folder, False)
    assert contents(Layout(folder)) == before
    assert [path.name for path in folder.parent.iterdir()] == ["small"]


def test_published_runs_are_not_lost_by_publishing_fewer(layout: Layout, tmp_path: Path) -> None:
    folder = publish_tier(layout, tmp_path / "published" / "small", False)
    before = contents(Layout(folder))
    fewer = Layout(tmp_path / "fewer" / "small")
    shutil.copytree(layout.root, fewer.root)
    gone = next(iter(sorted((fewer.root / "runs").rglob("metrics.json")))).parent
    lost = gone.relative_to(fewer.root).as_posix()
    shutil.rmtree(gone)
    shutil.rmtree(fewer.root / "weights")
    make_results(fewer)
    assert verify(fewer).problems == []
    with pytest.raises(UserError, match=f"has 1 runs that .* lacks, such as {lost}/metrics.json"):
        publish_tier(fewer, folder, False)
    assert contents(Layout(folder)) == before
    # A run that the grid has no longer may go.
    narrower = yaml.safe_load(fewer.config.read_text())
    narrower["experiments"][0]["axes"]["seed"] = [1]
    fewer.config.write_text(yaml.safe_dump(narrower, sort_keys=False))
    for run in list((fewer.root / "runs").rglob("seed~0")):
        shutil.rmtree(run)
    make_results(fewer)
    publish_tier(fewer, folder, False)
    assert f"{lost}/metrics.json" not in contents(Layout(folder))
    # More than before is what publishing again is for.
    shutil.rmtree(folder)
    publish_tier(fewer, folder, False)
    publish_tier(layout, folder, False)
    assert contents(Layout(folder)) == before


def test_a_tier_that_shows_people_is_not_published(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS, "digits", replace(DATASETS["digits"], is_public=False))
    with pytest.raises(UserError, match="shows images of digits, which may not be published"):
        publish_tier(layout, tmp_path / "published", False)
    assert not (tmp_path / "published").exists()
    assert [name for name, d in DATASETS.items() if name.startswith("celeba") and d.is_public] == []


def test_a_tier_that_is_not_whole_is_not_packed(layout: Layout, tmp_path: Path) -> None:
    shutil.rmtree(layout.root / "weights")
    export_tier(layout, tmp_path / "a.tar", False)
    with pytest.raises(UserError, match="has problems"):
        export_tier(layout, tmp_path / "b.tar", True)
    layout.claims("md").write_text("better")
    with pytest.raises(UserError, match=r"claims\.md: changed"):
        export_tier(layout, tmp_path / "b.tar", False)
    assert not (tmp_path / "b.tar").exists()


def test_a_damaged_archive_is_refused_at_every_cut(layout: Layout, tmp_path: Path) -> None:
    whole = export_tier(layout, tmp_path / "small.tar", False)
    content = whole.read_bytes()
    cut = tmp_path / "cut.tar"
    for share in (0.0, 0.001, 0.1, 0.5, 0.9):
        cut.write_bytes(content[: int(share * len(content))])
        with pytest.raises(UserError):
            import_tier(cut, tmp_path / "results", tmp_path / "store")
    for place in range(0, len(content), len(content) // 40):
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        cut.write_bytes(changed)
        try:
            imported = import_tier(cut, tmp_path / "results", tmp_path / "store")
        except UserError:
            assert not (tmp_path / "results" / "small").exists()
        else:  # the byte was padding, or a header's field that says nothing
            assert verify(imported).problems == []
            shutil.rmtree(imported.root)


def test_another_tier_of_that_name_is_not_overwritten(layout: Layout, tmp_path: Path) -> None:
    archive = export_tier(layout, tmp_path / "small.tar", False)
    there = tmp_path / "results" / "small"
    there.mkdir(parents=True)
    (there / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        import_tier(archive, tmp_path / "results", tmp_path / "store")
    assert [path.name for path in there.iterdir()] == ["mine.txt"]


def test_a_tier_that_was_only_planned_is_in_nobodys_way(layout: Layout, tmp_path: Path) -> None:
    """`snakemake -n` writes down what it plans."""
    archive = export_tier(layout, tmp_path / "small.tar", False)
    planned = Layout(tmp_path / "results" / "small")
    planned.root.mkdir(parents=True)
    planned.config.write_text("tier: small\n")
    planned.hashes.write_text("")
    imported = import_tier(archive, tmp_path / "results", tmp_path / "store")
    assert verify(imported).problems == []


def test_the_commands(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    tier = ("--tier", str(layout.root))
    assert run(app, ["export", *tier, "--out", "a.tar"]).output.strip() == "a.tar"
    # As the documents say how to send it in pieces.
    divided = "split -b 300K a.tar a.tar. && rm a.tar && cat a.tar.* > a.tar"
    subprocess.run(divided, shell=True, check=True)
    assert (tmp_path / "a.tar.ab").exists()
    assert run(app, ["import", "a.tar"]).output.strip() == "results/small"
    assert run(app, ["verify"]).exit_code == 0
    assert isinstance(run(app, ["import", "nothing.tar"]).exception, UserError)
    folder = run(app, ["export", *tier, "--out", "folder", "--unpacked"])
    assert folder.output.strip() == "folder"
    assert run(app, ["import", "folder"]).output.strip() == "results/small"
