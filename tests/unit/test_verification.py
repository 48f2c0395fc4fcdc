"""What verify makes again: a forger who makes every digest anew is still found out."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from shlex import quote, split

import pandas as pd
import pytest
import torch
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from typer.testing import CliRunner

import vaebench
from tests.archives import edit, forged_manifest
from tests.conftest import PROJECT
from tests.tiers import PAPER_VALUES, make_results
from vaebench.cli import app
from vaebench.errors import UserError
from vaebench.experiment.unasked import check_plugins
from vaebench.paths import Layout
from vaebench.plain_text import on_one_line
from vaebench.provenance.manifest import write_manifest
from vaebench.runs.record import RunRecord, read_record
from vaebench.runs.sources import Basis
from vaebench.verification.replay import TOLERANCE, choose_runs, compare, replay
from vaebench.verification.same import RELATIVE, table_difference, text_difference
from vaebench.verification.whole import verify_whole

RUN = "posterior_variance/objective~bilbo/latent_dim~2/seed~1"
CPU = torch.device("cpu")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def change_table(path: Path, column: str) -> None:
    rows = pd.read_parquet(path)
    rows[column] = rows[column] + (rows.index == 0)
    rows.to_parquet(path, index=False)


def turn_verdict(path: Path) -> None:
    claims = json.loads(path.read_text())
    claims["claims"][0]["verdict"] = "reproduced"
    path.write_text(json.dumps(claims, indent=2) + "\n")


FORGED: list[tuple[str, Callable[[Path], object], str]] = [
    ("claims.json", turn_verdict, "claims.json: line"),
    ("claims.md", lambda p: replace(p, "not run", "reproduced"), "claims.md: line"),
    ("runs.parquet", lambda p: change_table(p, "test_elbo"), "runs.parquet: test_elbo of row 1"),
    ("history.parquet", lambda p: change_table(p, "test_elbo"), "history.parquet: test_elbo"),
    ("tables/posterior_variance.csv", lambda p: replace(p, "2,2", "2,3"), "csv: line 2"),
    ("tables/posterior_variance.md", lambda p: replace(p, "| 2 ", "| 7 "), ".md: line"),
    ("index.html", lambda p: replace(p, "<h1", "<b>reproduced</b><h1"), "index.html: line"),
    (f"codes/{RUN}.js", lambda p: replace(p, "points", "point5"), ".js: line 1"),
]


@pytest.mark.parametrize(("name", "forge", "message"), FORGED)
def test_results_that_do_not_follow_from_the_records(
    layout: Layout, name: str, forge: Callable[[Path], object], message: str
) -> None:
    forge(layout.root / name)
    write_manifest(layout, PAPER_VALUES)
    found = verify_whole(layout)
    assert len(found.problems) == 1, found.problems
    assert message in found.problems[0]
    assert "remove it, and `snakemake --cores all --configfile" in found.problems[0]
    assert found.unproven == []


def test_other_code_is_no_way_around(layout: Layout) -> None:
    """Results of other code are compared without what they say of their code."""
    turn_verdict(layout.claims("json"))
    forged = {"claims": "0" * 64, "tables": "1" * 64}
    layout.manifest.write_bytes(forged_manifest(layout, lambda v: v["code"].update(forged)))
    found = verify_whole(layout)
    assert found.problems == []
    assert len(found.unproven) == 1
    assert "claims.json: line" in found.unproven[0]
    assert "other code than this checkout's made it" in found.unproven[0]
    done = CliRunner().invoke(app, ["verify", "--tier", str(layout.root)])
    assert done.exit_code == 1
    assert "whole, 1 results not proven" in done.output


def test_a_page_that_shows_claims_of_other_code_is_not_proven(layout: Layout) -> None:
    replace(layout.root / "index.html", "<h1", "<b>12 are tested</b><h1")
    layout.manifest.write_bytes(
        forged_manifest(layout, lambda v: v["code"].update({"claims": "0" * 64}))
    )
    found = verify_whole(layout)
    assert found.problems == []
    assert len(found.unproven) == 1
    assert "index.html: line" in found.unproven[0]


def test_results_of_other_code_that_are_the_same_are_whole(layout: Layout) -> None:
    kinds = ("claims", "tables", "collect", "report")
    values = dict.fromkeys(kinds, "0" * 64)
    layout.manifest.write_bytes(forged_manifest(layout, lambda v: v["code"].update(values)))
    found = verify_whole(layout)
    assert (found.problems, found.unproven) == ([], [])


def test_runs_of_other_sources_are_compared_as_far_as_can_be(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaebench.results.collect.accepted_hashes", lambda _: [])
    monkeypatch.setattr("vaebench.results.collect.accepted_sources", lambda _: {"x": Basis(None)})
    found = verify_whole(layout)
    assert found.problems == []
    assert len(found.unproven) == 1
    assert "made with other sources" in found.unproven[0]
    change_table(layout.runs, "test_elbo")
    write_manifest(layout, PAPER_VALUES)
    assert any("runs.parquet: test_elbo of" in line for line in verify_whole(layout).problems)


@pytest.mark.parametrize(
    "name",
    [
        "history.parquet", "tables/posterior_variance.csv", "figures/fig05.svg",
        "figures/fig05.txt", "index.html", "claims.json", f"codes/{RUN}.js",
        f"runs/{RUN}/evaluation.json",
        "classifiers/digits/classifier.safetensors",
    ],
)  # fmt: skip
def test_every_file_that_the_config_names_has_to_be_there(layout: Layout, name: str) -> None:
    (layout.root / name).unlink()
    values = json.loads(forged_manifest(layout))
    del values["files"][name]
    layout.manifest.write_bytes(forged_manifest(layout, lambda v: v["files"].pop(name)))
    problems = verify_whole(layout).problems
    assert any(line.startswith(f"{layout.root / name}: missing, and ") for line in problems)
    assert any("makes it" in line for line in problems)


def test_a_value_removed_from_a_config_has_a_remedy(layout: Layout) -> None:
    """As the line says: remove the folders that it names."""
    values = yaml.safe_load(layout.config.read_text())
    values["experiments"][0]["axes"]["seed"] = [0]
    values["figures"] = ["fig01", "fig05"]
    layout.config.write_text(yaml.safe_dump(values, sort_keys=False))
    before = layout.manifest.read_bytes()
    make_results(layout)
    problems = verify_whole(layout).problems
    run = layout.root / "runs" / RUN
    assert any(
        line.startswith(f"{run}: does not belong") and f"`rm -r {quote(str(run))} " in line
        for line in problems
    )
    for line in problems:
        assert "remove it with `rm -r " in line or "does not belong to any run" in line
        for path in map(Path, split(line.partition("`rm -r ")[2].rstrip("`"))):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    assert verify_whole(layout).problems == []
    # With a manifest of a former version, which lists what was left.
    assert before != layout.manifest.read_bytes()


def test_a_manifest_that_lists_what_was_removed_from_the_config(layout: Layout) -> None:
    values = yaml.safe_load(layout.config.read_text())
    values["figures"] = ["fig01", "fig05"]
    layout.config.write_text(yaml.safe_dump(values, sort_keys=False))
    layout.manifest.write_bytes(forged_manifest(layout))
    lines = [line for line in verify_whole(layout).problems if "fig13.svg" in line]
    assert len(lines) == 1
    assert (
        f"does not ask for it: put it back into the config, or remove it with `rm -r {layout.root}"
        in lines[0]
    )
    assert f"then `vaebench manifest --tier {layout.root}`" in lines[0]


def test_a_run_in_the_place_of_another_is_found(layout: Layout) -> None:
    """The records of two runs exchanged, with everything made again from them."""
    folder = (layout.root / "runs" / RUN).parent
    other = folder.parents[1] / "objective~learned" / "latent_dim~2"
    for kind in ("runs", "weights"):
        one, two = (
            layout.root / kind / p.relative_to(layout.root / "runs") / "seed~1"
            for p in (folder, other)
        )
        shutil.move(one, layout.root / "kept")
        shutil.move(two, one)
        shutil.move(layout.root / "kept", two)
    layout.manifest.write_bytes(forged_manifest(layout))
    assert any("of other settings than its place" in line for line in verify_whole(layout).problems)


def test_numbers_without_sense_are_named(layout: Layout) -> None:
    edit(layout.root / "runs" / RUN / "metrics.json", lambda v: v["timing"].update(seconds=-1.0))
    layout.manifest.write_bytes(forged_manifest(layout))
    assert any("timing.seconds is negative" in line for line in verify_whole(layout).problems)


def test_a_table_full_of_garbage_is_named(layout: Layout) -> None:
    layout.runs.write_bytes(b"PAR1garbagePAR1")
    layout.manifest.write_bytes(forged_manifest(layout))
    assert any(f"{layout.runs}: cannot be read" in line for line in verify_whole(layout).problems)


@pytest.mark.parametrize("name", ["paper", "evidence", "questions-reduced"])
def test_what_is_published_follows_from_its_records(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    found = verify_whole(Layout(Path("results/published") / name))
    assert (found.problems, found.unproven) == ([], [])


def test_plugins_of_a_tier_elsewhere_are_not_run(layout: Layout, tmp_path: Path) -> None:
    mark, plugin = tmp_path / "it-ran", tmp_path / "own.py"
    plugin.write_text(f"from pathlib import Path\nPath({str(mark)!r}).touch()\n")
    layout.config.write_text(f"plugins: [{plugin}]\n" + layout.config.read_text())
    layout.manifest.write_bytes(forged_manifest(layout))
    done = CliRunner().invoke(app, ["verify", "--tier", str(layout.root)])
    assert isinstance(done.exception, UserError)
    assert "not run unasked" in str(done.exception)
    assert not mark.exists()
    root = str(layout.root)
    for command in (
        ["explain", str(layout.claims("md"))],
        ["claims", "--tier", root],
        ["config", "--tier", root],
        ["tidy", "--tier", root],
        ["draw", "fig04", "--tier", root],
        ["export", "--tier", root, "--out", str(tmp_path / "a.tar")],
        ["evidence", "--tier", root, "--experiment", "posterior_variance"],
    ):
        done = CliRunner().invoke(app, command)
        assert isinstance(done.exception, UserError), command
        assert "not run unasked" in str(done.exception), command
    with pytest.raises(UserError, match=r"call vaebench\.load_plugins\(\['.*own\.py'\]\) first"):
        vaebench.load_results(layout.root)
    assert not mark.exists()
    check_plugins(layout, layout.root.parent)  # Of a tier in results/, they may be run.


def test_lines_cannot_steer_the_terminal() -> None:
    assert on_one_line("a\x1b[2Jb\nc\u202e") == "a\\x1b[2Jb\\nc\\u202e"
    assert on_one_line("Σ and 'quotes' stay") == "Σ and 'quotes' stay"


finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(value=finite, digit=st.integers(-3, 3))
def test_rounding_is_no_difference_and_all_else_is(value: float, digit: int) -> None:
    text = f"a,{value!r},b\nother\n"
    assert text_difference(text, f"a,{value * (1 + 1e-12)!r},b\nother\n", True) is None
    moved = value + 10.0**digit
    assume(10.0**digit > 2 * RELATIVE * max(abs(value), abs(moved)))
    assert text_difference(text, f"a,{moved!r},b\nother\n", True) is not None
    frames = [pd.DataFrame({"x": [1.0, x]}) for x in (value, value * (1 + 1e-12), moved)]
    assert table_difference(frames[0], frames[1]) is None
    assert "x of row 2" in str(table_difference(frames[0], frames[2]))


def test_texts_are_compared_to_the_letter() -> None:
    assert text_difference("a differs\n", "a reproduced\n", True) is not None
    assert text_difference("a\nb\n", "a\n", True) == "it has 2 lines, and its runs give 1"
    assert text_difference("x1 2.0", "x2 2.0", True) is not None
    ours, theirs = ("a\n\n<!-- made from code=1 -->\n", "a\n\n<!-- made from code=2 -->\n")
    assert text_difference(ours, theirs, True) is not None
    assert text_difference(ours, theirs, False) is None
    assert "other columns" in str(
        table_difference(pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}))
    )
    assert table_difference(pd.DataFrame({"a": [None]}), pd.DataFrame({"a": [1.0]})) is not None


@pytest.fixture
def in_project(layout: Layout, finished_tier: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.chdir(finished_tier.parents[1])
    return layout


def test_runs_come_out_again_to_the_bit(in_project: Layout) -> None:
    done = CliRunner().invoke(app, ["verify", "--tier", str(in_project.root), "--replay", "2"])
    assert done.exit_code == 0, done.output
    assert "training 2 runs again, the cheapest" in done.output
    assert done.output.count(": the same bits") == 2
    assert not (in_project.root.parent / ".vaebench").exists()


def test_a_run_with_invented_numbers_does_not_come_out_again(in_project: Layout) -> None:
    """Every digest fits, and everything is made again from the record."""
    path = in_project.root / "runs" / RUN / "metrics.json"
    edit(path, lambda v: v["final"]["test"].update(elbo=v["final"]["test"]["elbo"] + 20))
    make_results(in_project)
    assert verify_whole(in_project).problems == []
    chosen = {RUN: read_record(path)}
    (found,) = replay(chosen, CPU, Path("data"))
    assert found.same_bits  # Its weights are as they were.
    assert str(found.problem).startswith("final.test.elbo is ")
    runs = ["verify", "--tier", str(in_project.root), "--replay", "4", "--seed", "1"]
    done = CliRunner().invoke(app, runs)
    assert done.exit_code == 1
    assert done.output.count("does not come out again: final.test.elbo") == 1
    assert ": 1 problems;" in done.output


def test_which_runs_are_trained_again(layout: Layout) -> None:
    every = {
        p.parent.relative_to(layout.root / "runs").as_posix(): read_record(p)
        for p in (layout.root / "runs").rglob("metrics.json")
    }
    cost = {name: r.timing.seconds / r.worker.packed_runs for name, r in every.items()}
    (cheapest,) = choose_runs(layout, 1, None)
    assert cost[cheapest] == min(cost.values())
    assert len(choose_runs(layout, 100, None)) == 4
    drawn = [tuple(choose_runs(layout, 2, seed)) for seed in range(20)]
    assert drawn == [tuple(choose_runs(layout, 2, seed)) for seed in range(20)]
    assert {name for names in drawn for name in names} == set(every)
    for path in (layout.root / "runs").rglob("metrics.json"):
        edit(path, lambda v: v.update(status="diverged"))
    with pytest.raises(UserError, match="no run is completed"):
        choose_runs(layout, 1, None)


def changed(record: RunRecord, share: float) -> RunRecord:
    elbo = record.final.test.elbo
    assert elbo is not None
    test = record.final.test.model_copy(update={"elbo": elbo * (1 + share)})
    digests = record.digests.model_copy(update={"weights": "0" * 64})
    final = record.final.model_copy(update={"test": test})
    return record.model_copy(update={"final": final, "digests": digests})


def test_bits_on_an_equal_machine_and_a_tolerance_elsewhere(layout: Layout) -> None:
    record = read_record(layout.root / "runs" / RUN / "metrics.json")
    arrays = record.digests.arrays
    assert compare("a", record, record, arrays, []).same_bits
    near, far = changed(record, TOLERANCE / 2), changed(record, TOLERANCE * 2)
    assert compare("a", record, near, arrays, ["threads"]).problem is None
    assert compare("a", record, near, arrays, ["threads"]).difference == pytest.approx(0.5)
    assert "machine and the training are alike" in str(
        compare("a", record, near, arrays, []).problem
    )
    for other in ([], ["processor"]):
        assert "final.test.elbo is" in str(compare("a", record, far, arrays, other).problem)
    diverged = record.model_copy(update={"status": "diverged"})
    assert "it is diverged" in str(compare("a", record, diverged, arrays, []).problem)


def test_what_cannot_be_trained_again_here(
    in_project: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = choose_runs(in_project, 1, None)
    name, record = next(iter(chosen.items()))
    other = record.digests.model_copy(update={"data": "0" * 64})
    with pytest.raises(UserError, match="its data are not this 'digits'"):
        list(replay({name: record.model_copy(update={"digests": other})}, CPU, Path("data")))
    with pytest.raises(UserError, match="vaebench data digits"):
        list(replay(chosen, CPU, tmp_path / "nothing"))
    monkeypatch.setattr("vaebench.verification.replay.accepted_sources", lambda _: {})
    with pytest.raises(UserError, match="Check out their commit"):
        list(replay(chosen, CPU, Path("data")))
