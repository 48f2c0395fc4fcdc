"""Every stage with every kind of damage to every file that it reads.

A damaged file is named in a message without a traceback, or the results are the very same.
"""

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.faults.conftest import Count
from tests.faults.damage import damaged
from tests.faults.harness import LONG
from tests.tiers import PAPER_VALUES, make_finished_tier
from vaebench.api.files import read_arrays, read_weights
from vaebench.cli import main
from vaebench.data.npz import read_npz
from vaebench.data.prepared import PARTS, digest, load
from vaebench.errors import UserError
from vaebench.execution.measuring import open_run
from vaebench.quality.evaluate import EvaluationTarget, evaluate_runs
from vaebench.runs.measurement import RunFiles
from vaebench.runs.record import read_record

pytestmark = pytest.mark.faults

ROUNDS = 10 if LONG else 1
TIER = ("--tier", "results/small")
VALUES = ("--paper-values", str(PAPER_VALUES))
RUN = "posterior_variance/objective~bilbo/latent_dim~2/seed~0"


@dataclass(frozen=True)
class Stage:
    """A command, the files that it reads, and what it writes."""

    arguments: Sequence[str]
    inputs: Sequence[str]
    outputs: Sequence[str]
    any_text: Sequence[str] = ()
    """Inputs that may be any text: a damage may change what is shown, and nothing else."""


STAGES = {
    "config": Stage(("config", *TIER), (), (), ("config.yaml",)),
    "collect": Stage(
        ("collect", "--tier", "results/small/config.yaml"),
        (
            f"runs/{RUN}/metrics.json",
            f"runs/{RUN}/arrays.npz",
            f"runs/{RUN}/evaluation.json",
            "classifiers/digits/classifier.json",
        ),
        ("runs.parquet", "history.parquet"),
        ("config.yaml",),
    ),
    "draw": Stage(
        ("draw", "fig05", *TIER), ("runs.parquet", "history.parquet"), ("figures/fig05.svg",)
    ),
    "draw arrays": Stage(
        ("draw", "fig13", *TIER), (f"runs/{RUN}/arrays.npz",), ("figures/fig13.svg",)
    ),
    "table": Stage(
        ("table", "posterior_variance", *TIER, *VALUES),
        ("runs.parquet",),
        ("tables/posterior_variance.csv",),
    ),
    "claims": Stage(
        ("claims", *TIER, *VALUES), ("runs.parquet", "history.parquet"), ("claims.json",)
    ),
    "report": Stage(
        ("report", *TIER),
        ("runs.parquet", "history.parquet", "figures/fig01.png", f"runs/{RUN}/arrays.npz"),
        ("index.html",),
        (
            "claims.json",
            "figures/fig01.txt",
            "tables/posterior_variance.csv",
            "tables/posterior_variance.md",
        ),
    ),
    "run": Stage(
        ("run", "--tier", "results/small/config.yaml", "--store", ".vaebench"),
        ("metrics.json", "arrays.npz", "model.safetensors"),
        # Without its record, a run is trained again, to the same bits in another time.
        (f"runs/{RUN}/arrays.npz", f"weights/{RUN}/model.safetensors"),
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    return make_finished_tier(tmp_path_factory.mktemp("project"), data_root).parents[1]


def called(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit status of a command and what it printed; its exception if it ends in one."""
    before, sys.argv = sys.argv, ["vaebench", *arguments]
    try:
        main()
    except SystemExit as end:
        captured = capsys.readouterr()
        return int(end.code or 0), captured.out + captured.err
    finally:
        sys.argv = before
    captured = capsys.readouterr()
    return 0, captured.out + captured.err


def is_named(path: Path, text: str) -> bool:
    """Lines may be broken, also inside of a name."""
    return path.name in "".join(text.split()) or path.parent.name in "".join(text.split())


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_names_a_damaged_input_or_is_not_changed_by_it(
    project: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    count: Count,
) -> None:
    monkeypatch.chdir(project)
    stage, root = STAGES[name], project / "results" / "small"
    status, text = called(stage.arguments, capsys)
    assert status == 0, text
    outputs = {root / one: (root / one).read_bytes() for one in stage.outputs}
    everything = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    tried, problems = 0, []
    for number, one in enumerate([*stage.inputs, *stage.any_text] * ROUNDS):
        path = root / one
        if name == "run":
            folder = next((project / ".vaebench" / "runs").glob("*/*"))
            path = folder / one
        for damage in damaged(path, random.Random(f"{name} {one} {number}")):
            tried += 1
            case = f"{one}, {damage}"
            try:
                status, text = called(stage.arguments, capsys)
            except BaseException as error:
                problems.append(f"{case}: {type(error).__name__}: {error}")
                continue
            changed = [p for p, content in outputs.items() if p.read_bytes() != content]
            if status == 0 and changed and one not in stage.any_text:
                problems.append(f"{case}: taken, and {changed[0].name} is another")
            if status != 0 and "Traceback" in text:
                problems.append(f"{case}: a traceback: {text[-300:]}")
            if status != 0 and not is_named(path, text):
                problems.append(f"{case}: not named: {text[-300:]}")
        for there, content in everything.items():
            if not there.is_file() or there.read_bytes() != content:
                there.write_bytes(content)
    assert not problems, "\n".join(problems)
    count("damaged inputs of stages", tried)


def check_reader(
    path: Path, read: Callable[[], object], same: Callable[[object], bool], count: Count
) -> None:
    """A reader in Python: each damage is a `UserError` that names the file, or changes nothing."""
    problems, tried = [], 0
    for number in range(ROUNDS):
        for damage in damaged(path, random.Random(f"{path.name} {number}")):
            tried += 1
            try:
                found = read()
            except UserError as error:
                if not is_named(path, str(error)):
                    problems.append(f"{damage}: not named: {error}")
                continue
            except BaseException as error:
                problems.append(f"{damage}: {type(error).__name__}: {error}")
                continue
            if not same(found):
                problems.append(f"{damage}: taken")
    assert not problems, "\n".join(problems)
    count("damaged inputs of readers", tried)


@pytest.mark.parametrize("part", [*(f"{part}.npy" for part in PARTS), "dataset.json"])
def test_prepared_data(part: str, project: Path, count: Count) -> None:
    prepared = project / "data" / "prepared"
    expected = digest(load(prepared, "digits"))
    check_reader(
        prepared / "digits" / part,
        lambda: digest(load(prepared, "digits")),
        lambda found: found == expected,
        count,
    )


@pytest.mark.parametrize("reader", ["api", "measures"])
@pytest.mark.parametrize("name", ["arrays.npz", "model.safetensors"])
def test_the_files_of_a_run(reader: str, name: str, project: Path, count: Count) -> None:
    layout = project / "results" / "small"
    folder, weights = layout / "runs" / RUN, layout / "weights" / RUN / "model.safetensors"
    record = read_record(folder / "metrics.json")

    def by_api() -> object:
        return read_weights(weights, record), read_arrays(folder, record)

    def by_measures() -> object:
        return open_run(RunFiles(folder, weights), record)

    path = weights if name == "model.safetensors" else folder / name
    # Digests are compared first, so no damage is ever taken.
    check_reader(path, by_api if reader == "api" else by_measures, lambda _: False, count)


def test_the_classifier_of_samples(project: Path, tmp_path: Path, count: Count) -> None:
    import torch

    layout = project / "results" / "small"
    target = EvaluationTarget(
        layout / "runs" / RUN, layout / "weights" / RUN / "model.safetensors", tmp_path / "e.json"
    )
    known = layout / "classifiers" / "digits" / "classifier.json"

    def evaluate() -> None:
        evaluate_runs([target], known, project / "data", torch.device("cpu"))

    path = known.with_name("classifier.safetensors")
    check_reader(path, evaluate, lambda _: False, count)


def test_images_in_an_npz_file(tmp_path: Path, count: Count) -> None:
    """A flipped bit of a pixel is found by the archive's own checksum."""
    path = tmp_path / "images.npz"
    images = np.random.default_rng(0).integers(0, 256, (30, 5, 4), np.uint8)
    np.savez_compressed(path, images=images, labels=np.arange(30) % 3)
    expected = digest(read_npz(path, 0.2, 0))
    check_reader(
        path, lambda: digest(read_npz(path, 0.2, 0)), lambda found: found == expected, count
    )
