"""The chain of digests: what verify finds, and what explain says."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.conftest import PROJECT
from tests.tiers import forge
from vaebench.cli.sharing import verify as verify_command
from vaebench.errors import UserError
from vaebench.paths import Layout
from vaebench.provenance.figure_metadata import figure_metadata
from vaebench.provenance.manifest import read_manifest, write_manifest
from vaebench.provenance.trace import explain
from vaebench.provenance.verify import find_tiers, verify
from vaebench.runs.sources import Basis

PAPER_VALUES = PROJECT / "config" / "paper_values.yaml"
RUN = "posterior_variance/objective~bilbo/latent_dim~2/seed~1"


def test_a_finished_tier_is_whole_and_moves(layout: Layout) -> None:
    found = verify(layout)
    assert found.problems == []
    assert (found.runs, found.weights_missing, found.other_sources) == (4, 0, [])
    assert found.files == len(read_manifest(layout).files) > 20
    assert read_manifest(layout).environment is not None
    assert [tier.root for tier in find_tiers(layout.root.parent)] == [layout.root]
    with pytest.raises(UserError, match=r"has no manifest\.json"):
        find_tiers(layout.root / "runs")


def test_one_changed_byte_of_any_file_is_named(layout: Layout) -> None:
    files = [path for path in sorted(layout.root.rglob("*")) if path.is_file()]
    kinds = {path.suffix for path in files}
    assert kinds == {
        ".json", ".npz", ".safetensors", ".parquet", ".svg", ".png", ".txt", ".csv", ".md",
        ".html", ".js", ".yaml",
    }  # fmt: skip
    for path in files:
        if path == layout.manifest:
            continue
        before = path.read_bytes()
        middle = len(before) // 2
        path.write_bytes(before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :])
        problems = verify(layout).problems
        assert any(problem.startswith(f"{path}: ") for problem in problems), path
        path.write_bytes(before)
    assert verify(layout).problems == []


def test_missing_and_added_files_are_named(layout: Layout) -> None:
    (layout.root / "figures" / "fig05.svg").unlink()
    (layout.root / "figures" / "fig99.svg").write_text("<svg/>")
    extra = layout.root / "weights" / "model.safetensors"
    extra.write_text("")
    (layout.root / "logs").mkdir()
    (layout.root / "logs" / "a.log").write_text("a log is no result")
    problems = verify(layout).problems
    assert len(problems) == 3
    for name, text in (("fig05.svg", "missing"), ("fig99.svg", "does not belong"),
                       ("model.safetensors", "does not belong to any run")):  # fmt: skip
        assert any(name in problem and text in problem for problem in problems)


def test_weights_that_are_not_here_are_counted(layout: Layout) -> None:
    shutil.rmtree(layout.root / "weights" / "posterior_variance" / "objective~learned")
    found = verify(layout)
    assert (found.problems, found.weights_missing) == ([], 2)
    assert len(verify(layout, need_weights=True).problems) == 2


def relist(layout: Layout) -> None:
    """Bring the manifest in line with the files, as a forger would."""
    write_manifest(layout, PAPER_VALUES)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"seed": 1', '"seed": 7', "its settings do not have the digest"),
        ('"run_hash": "', '"run_hash": "0', "its hash does not follow"),
        ('"arrays": "', '"arrays": "0', "names other arrays"),
        ('"active_units": ', '"active_units": 1', "not the record that the table was collected"),
    ],
)
def test_a_forged_record_breaks_the_chain(layout: Layout, old: str, new: str, message: str) -> None:
    path = layout.root / "runs" / RUN / "metrics.json"
    forge(path, old, new)
    relist(layout)
    assert any(message in problem for problem in verify(layout).problems)


def test_only_a_thin_copy_may_lack_its_vector_graphics(layout: Layout) -> None:
    vectors = sorted((layout.root / "figures").glob("*.svg"))
    for path in vectors:
        path.unlink()
    relist(layout)
    lacking = [problem for problem in verify(layout).problems if "asks for it" in problem]
    assert len(lacking) == len(vectors) > 0


def test_results_of_two_tiers_cannot_be_mixed(layout: Layout) -> None:
    runs = layout.root / "runs" / "posterior_variance" / "objective~bilbo" / "latent_dim~2"
    for name in ("metrics.json", "arrays.npz"):
        shutil.copy(runs / "seed~0" / name, runs / "seed~1" / name)
    shutil.rmtree(layout.root / "weights")
    relist(layout)
    problems = verify(layout).problems
    assert any("not the record that the table was collected from" in p for p in problems)
    shutil.copy(runs / "seed~1" / "evaluation.json", runs / "seed~0" / "evaluation.json")
    relist(layout)
    assert any("measured on another run" in problem for problem in verify(layout).problems)


def test_a_figure_of_other_runs_is_found(layout: Layout) -> None:
    for extension in ("svg", "png"):
        used = figure_metadata(layout.figure("fig13", extension))
        assert len(used["Records"].split()) == len(used["Runs"].split()) == 1
        assert figure_metadata(layout.figure("fig01", extension))["Runs"] == ""
    path = layout.figure("fig13", "svg")
    record = figure_metadata(path)["Records"]
    path.write_text(path.read_text().replace(record, record[::-1]))
    relist(layout)
    assert verify(layout).problems == [f"{path}: drawn from runs that are not these"]
    path.write_text("<svg/>")
    relist(layout)
    assert "does not say what it was drawn from" in verify(layout).problems[0]


def test_other_sources_are_reported_and_no_problem(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = {"other": Basis(None)}
    monkeypatch.setattr("vaebench.provenance.verify.accepted_sources", lambda _: accepted)
    found = verify(layout)
    assert found.problems == []
    assert len(found.other_sources) == 4


def test_explain_tells_where_a_file_comes_from(layout: Layout) -> None:
    metrics = layout.root / "runs" / RUN / "metrics.json"
    record = json.loads(metrics.read_text())
    text = explain(layout.figure("fig13", "svg"))
    assert "shows 1 run:" in text
    assert record["digests"]["weights"] not in text  # shortened to be read
    for path, seed_1 in (
        (layout.figure("fig05", "png"), False),
        (metrics, True),
        (layout.table("posterior_variance", "md"), True),
        (layout.claims("json"), True),
    ):
        text = explain(path)
        assert ("objective~bilbo/latent_dim~2/seed~1" in text) == seed_1
        for part in ("sha256", "cpu", "commit", "digits: the 1,797", "torch", "this checkout's"):
            assert part in text
    assert "shows no run" in explain(layout.figure("fig01", "svg"))
    shutil.rmtree(layout.root / "weights")
    assert f"{record['digests']['weights'][:12]} not here" in explain(metrics)
    with pytest.raises(UserError, match="is missing"):
        explain(layout.root / "nothing")
    with pytest.raises(UserError, match="is not in the folder of a tier"):
        explain(PAPER_VALUES)


def test_one_tier_that_cannot_be_read_does_not_hide_another(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = layout.root.with_name("broken")
    shutil.copytree(layout.root, broken)
    (broken / "manifest.json").write_text("{")
    with pytest.raises(BaseException, match="1"):
        verify_command(str(layout.root.parent))
    said = capsys.readouterr().out
    assert f"{broken}: not verified: {broken}/manifest.json" in said
    assert f"{layout.root}: whole" in said
    with pytest.raises(UserError, match=r"broken/manifest\.json"):
        verify_command(str(broken))


def test_verify_on_the_command_line(layout: Layout) -> None:
    command = [sys.executable, "-m", "vaebench", "verify", "--tier", str(layout.root)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert "whole; " in done.stdout
    layout.claims("md").write_text("all reproduced")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{layout.claims('md')}: changed" in done.stdout
    layout.manifest.write_text(yaml.safe_dump({"files": {}}))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no valid record" in done.stderr
    assert "Traceback" not in done.stderr
