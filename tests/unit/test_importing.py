"""What an import leaves where: what is here already wins, and a kill leaves nothing in the way."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.archives import edit, pack_tier
from tests.conftest import PROJECT
from tests.faults.kill_at_write import counted
from tests.tiers import make_results
from vaebench.errors import UserError
from vaebench.files import digest_file
from vaebench.paths import Layout
from vaebench.provenance.verify import verify
from vaebench.runs.record import EvaluationRecord, read_as, read_record
from vaebench.runs.store import STAGED, FinishedRun, put_run, run_folder
from vaebench.sharing.adopt import mark_current
from vaebench.sharing.archive import export_tier, import_tier
from vaebench.sharing.move import LOCK

RUN = "posterior_variance/objective~bilbo/latent_dim~2/seed~1"


def contents(folder: Path) -> dict[str, str]:
    """The digests of all files in a folder, but of locks."""
    return {
        path.relative_to(folder).as_posix(): digest_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def test_measures_that_the_store_has_are_never_replaced(layout: Layout, tmp_path: Path) -> None:
    """Those of a foreign archive may be invented, and their digests fit."""
    store = tmp_path / "store"
    import_tier(export_tier(layout, tmp_path / "own.tar", True), tmp_path / "results", store)
    before = contents(store)
    shutil.rmtree(tmp_path / "results")
    record = read_record(layout.root / "runs" / RUN / "metrics.json")
    measured = layout.root / "runs" / RUN / "evaluation.json"
    edit(measured, lambda values: values["samples"].update(kid=-123.0))
    make_results(layout)
    imported = import_tier(pack_tier(tmp_path / "a.tar", layout), tmp_path / "results", store)
    there = read_as(EvaluationRecord, imported.root / "runs" / RUN / "evaluation.json", "")
    assert there.samples is not None
    assert there.samples.kid == -123.0
    assert contents(store) == before
    assert (run_folder(store, record.run_hash) / "evaluation.json").exists()


def test_a_stored_run_gets_what_it_lacks_and_nothing_of_other_weights(
    layout: Layout, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    folder = layout.root / "runs" / RUN
    record = read_record(folder / "metrics.json")
    weights = (layout.root / "weights" / RUN / "model.safetensors").read_bytes()
    arrays = (folder / "arrays.npz").read_bytes()
    own = record.digests.model_copy(update={"weights": "0" * 64})
    put_run(store, FinishedRun(record.model_copy(update={"digests": own}), arrays, None))
    stored = run_folder(store, record.run_hash)
    before = contents(stored)
    archive = export_tier(layout, tmp_path / "a.tar", True)
    import_tier(archive, tmp_path / "results", store)
    assert contents(stored) == before  # A run of other weights: nothing of it is added.
    shutil.rmtree(stored)
    put_run(store, FinishedRun(record, arrays, None, (folder / "metrics.json").read_bytes()))
    import_tier(archive, tmp_path / "results", store)
    assert (stored / "model.safetensors").read_bytes() == weights
    assert (stored / "evaluation.json").read_bytes() == (folder / "evaluation.json").read_bytes()
    # A run whose training has all but ended here is left to it.
    shutil.rmtree(stored)
    stored.mkdir()
    (stored / STAGED).write_text("its own")
    import_tier(archive, tmp_path / "results", store)
    assert contents(stored) == {STAGED: digest_file(stored / STAGED)}


def test_what_is_in_results_stays_as_it_is(layout: Layout, tmp_path: Path) -> None:
    archive = export_tier(layout, tmp_path / "a.tar", False)
    results, store = tmp_path / "results", tmp_path / "store"
    imported = import_tier(archive, results, store)
    imported.claims("md").write_text("my own notes")
    before = contents(results)
    with pytest.raises(UserError, match=r"its 'claims\.md' is not that of the archive: move"):
        import_tier(archive, results, store)
    assert contents(results) == before
    shutil.copy(layout.claims("md"), imported.claims("md"))
    # What is missing comes back, and logs and the plan of the workflow are in nobody's way.
    imported.figure("fig05", "png").unlink()
    shutil.rmtree(imported.root / "runs" / RUN)
    (imported.root / "logs").mkdir()
    (imported.root / "logs" / "a.log").write_text("mine")
    imported.hashes.write_text("planned")
    import_tier(archive, results, store)
    assert verify(imported).problems == []
    assert (imported.root / "logs" / "a.log").read_text() == "mine"
    # Without a manifest too, if all that is there is of this tier.
    imported.manifest.unlink()
    import_tier(archive, results, store)
    assert verify(imported).problems == []
    imported.manifest.unlink()
    (imported.root / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"'mine\.txt' is not that of the archive"):
        import_tier(archive, results, store)
    shutil.rmtree(imported.root)
    imported.root.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a symbolic link"):
        import_tier(archive, results, store)


def test_a_tier_in_a_folder_of_another_name_is_not_marked_as_current(
    layout: Layout, tmp_path: Path
) -> None:
    shutil.copytree(layout.root, tmp_path / "other")
    with pytest.raises(UserError, match="is the config of another tier, 'small'"):
        mark_current(Layout(tmp_path / "other"), PROJECT / "config" / "paper_values.yaml")


def importing(folder: Path, archive: Path, *before: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *before, "import", str(archive)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT / "src"), str(PROJECT)])},
    )  # fmt: skip


@pytest.mark.faults
def test_several_imports_at_once_wait_for_each_other(layout: Layout, tmp_path: Path) -> None:
    archive = export_tier(layout, tmp_path / "a.tar", True)
    there = tmp_path / "there"
    there.mkdir()
    (there / "results").mkdir()
    with (there / "results" / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        processes = [importing(there, archive, "-m", "vaebench") for _ in range(3)]
        for process in processes:
            assert process.stdout
            assert any("waiting: another import" in line for line in process.stdout)
    texts = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], texts
    assert contents(there / "results") == {
        f"small/{name}": digest for name, digest in contents(layout.root).items()
    }


def was_killed(moment: int, work: Callable[[], object]) -> bool:
    """Do this in another process, which is killed at a moment of writing, if it has so many."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of threads in a process that forks: these idle.
        child = os.fork()
    if child == 0:
        left = [moment]
        os.fsync = counted(os.fsync, left)
        os.replace = counted(os.replace, left)
        Path.unlink = counted(Path.unlink, left)  # type: ignore[method-assign]
        os.rmdir = counted(os.rmdir, left)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


@pytest.mark.faults
@pytest.mark.parametrize("planned", [False, True])
def test_an_import_killed_at_any_moment_can_be_made_again(
    layout: Layout, tmp_path: Path, planned: bool
) -> None:
    """At some of its moments of writing: each fsync, rename and removal is one.

    The process is a copy of this one, which has imported everything already.
    """
    archive = export_tier(layout, tmp_path / "a.tar", True)
    expected = contents(layout.root)
    done = False
    moments = iter(range(7 if planned else 3, 1000, 23))
    while not done:
        there = tmp_path / "there"
        there.mkdir()
        own = Layout(there / "results" / "small")
        if planned:
            own.root.mkdir(parents=True)
            own.config.write_text("tier: small\n")
            own.hashes.write_text("")
        places = there / "results", there / ".vaebench"
        done = not was_killed(next(moments), partial(import_tier, archive, *places))
        if own.manifest.exists():
            assert verify(own, need_weights=True).problems == []
        imported = import_tier(archive, there / "results", there / ".vaebench")
        assert contents(imported.root) == expected
        assert sorted(path.name for path in (there / "results").iterdir()) == [
            ".import.lock",
            "small",
        ]
        for path in (there / ".vaebench").rglob("metrics.json"):
            assert read_record(path).run_hash == path.parent.name
        shutil.rmtree(there)


def test_nothing_that_comes_in_names_this_machine(layout: Layout, tmp_path: Path) -> None:
    archive = export_tier(layout, tmp_path / "a.tar", False)
    content = archive.read_bytes()
    for word in (f"{Path.home()}/", str(tmp_path)):
        assert len(word) < 4 or word.encode() not in content
    assert json.loads((layout.manifest).read_text())["tier"] == "small"
