"""Bounds on the memory of commands, which run in processes that the system gives no more."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.packs import MakeSettings
from tests.tiers import PAPER_VALUES
from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.execution.check_objective import check_objective
from vaebench.files import allow_open_files
from vaebench.memory import shortage
from vaebench.models import make
from vaebench.models.make import make_vae
from vaebench.objectives import OBJECTIVES, objective
from vaebench.yaml_text import to_yaml

CPU = torch.device("cpu")
GB = 1_000_000_000
SMALL = ["--hidden-units", "16", "--hidden-layers", "1", "--steps", "2", "--batch-size", "20"]
EVIDENCE = [
    *("--images", "2", "--temperatures", "2", "--chains", "2", "--draws", "25"),
    *("--simulated", "0", "--refined", "0"),
]
MEASURES = ("evaluate", "equations", "dependence")
BOUND = 3
"""GB of addresses for each command on small runs, as docs/performance.md says."""


def run(
    gigabytes: float, *commands: list[str], folder: Path
) -> list[subprocess.CompletedProcess[str]]:
    """Run commands of vaebench with a limit on their memory."""
    size = int(gigabytes * GB)
    return [
        subprocess.run(
            [sys.executable, "-m", "vaebench", *command],
            cwd=folder,
            env=os.environ | {"VAEBENCH_STORE": str(folder / "store")},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
            capture_output=True,
            text=True,
        )
        for command in commands
    ]


def test_every_command_stays_within_its_bound(tmp_path: Path, data_root: Path) -> None:
    """With a full covariance matrix of 60 dimensions, and images of 192x192 in colour."""
    images = np.random.default_rng(0).integers(0, 256, (1100, 64, 64, 3), np.uint8)
    np.savez(tmp_path / "large.npz", images=images)
    data = ["--data", str(data_root)]
    measured = ["out/seed~0", *data]
    train = ["train", "--objective", "full", "--latent-dim", "60", *SMALL, "--seeds", "0,1"]
    done = run(
        BOUND,
        [*train, *data],
        ["evidence", *measured, *EVIDENCE],
        ["latent", *measured, "--draws", "16", "--images", "8", "--samples", "0", "--turned", "0"],
        ["train", "--objective", "bilbo", "--dataset", "large.npz", *SMALL, "--out", "large"],
        folder=tmp_path,
    )
    for each in done:
        assert each.returncode == 0, each.stderr
    assert {path.name for path in (tmp_path / "out/seed~0").glob("*.json")} == {
        *("metrics.json", "evidence.json", "latent.json"),
    }


def test_every_command_on_a_tier_stays_within_its_bound(tmp_path: Path) -> None:
    """From training to the page, and what checks and moves the results."""
    (tmp_path / "config").mkdir()
    shutil.copy(PAPER_VALUES, tmp_path / "config")
    (tmp_path / "requirements.lock").write_text("torch==0\n")
    measured = {"images": 2, "regressed": 20}
    tier = {
        "tier": "small",
        "figures": ["fig01"],
        "experiments": [
            {
                "name": "posterior_variance",
                "settings": {
                    "dataset": "digits", "likelihood": "bernoulli", "network": "mlp", "epochs": 1,
                    "hidden_units": 8, "hidden_layers": 1, "batch_size": 300,
                    "learning_rate": 0.001, "latent_dim": 3, "objective": "learned",
                },
                "axes": {"seed": [0, 1]},
                "sample_quality": True,
                "equations": {**measured, "refined": 1, "temperatures": 2},
                "dependence": {**measured, "draws": 25},
            }
        ],
    }  # fmt: skip
    (tmp_path / "small.yaml").write_text(to_yaml(tier))
    of_experiment = ["--experiment", "posterior_variance"]
    commands = [
        ["data", "digits"],
        ["run", "--tier", "small.yaml"],
        ["classifier", "digits", "--tier", "small.yaml"],
        *([name, *of_experiment, "--tier", "small.yaml"] for name in MEASURES),
        ["collect", "--tier", "small.yaml"],
        ["draw", "fig01", "--tier", "small.yaml"],
        ["report", "--make", "--tier", "small.yaml"],
        ["verify", "--replay", "1", "--tier", "small.yaml"],
        ["export", "--tier", "small.yaml", "--out", "small.tar"],
        ["import", "small.tar"],
    ]
    for command, done in zip(commands, run(BOUND, *commands, folder=tmp_path), strict=True):
        assert done.returncode == 0, (command, done.stdout, done.stderr)


def test_a_training_that_does_not_fit_ends_in_one_line(tmp_path: Path, data_root: Path) -> None:
    wide = ["--hidden-units", "16384", "--hidden-layers", "2", "--steps", "2"]
    command = ["train", "--objective", "bilbo", "--batch-size", "1500", *wide]
    (done,) = run(2.5, [*command, "--data", str(data_root)], folder=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    for part in ("not enough memory", "more were asked for", "bilbo", "smaller"):
        assert part in last, last
    assert not (tmp_path / "out").exists()


def test_blocks_of_evaluation_shrink_only_where_images_are_too_many(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def block(shape: tuple[int, ...], runs: int = 1, **changes: object) -> int:
        made = [settings(seed=seed, **changes) for seed in range(runs)]
        return make_vae(made, shape, CPU).network.images_at_once

    # Published runs were evaluated in blocks of 1,000, which decide their last bits.
    assert block((28, 28), 160) == block((28, 28)) == 1000
    assert block((28, 28), 13, objective="full", latent_dim=100) == 1000
    monkeypatch.setattr(make, "NUMBERS_AT_ONCE", 2**20)
    assert block((28, 28), 2) == 2**20 // (2 * 784)
    assert block((64, 64, 3)) == 2**20 // (64 * 64 * 3)
    assert block((28, 28), objective="full", latent_dim=100) == 2**20 // 100**2
    assert block((2048, 2048)) == 1


def test_an_objective_that_compares_all_pairs_of_a_set_is_refused_before_training(
    settings: MakeSettings, digits: Arrays
) -> None:
    def pairs(batch):  # type: ignore[no-untyped-def]
        mean = batch.posterior.mean
        apart = (mean[:, :, None] - mean[:, None]).square().sum(-1).mean((1, 2))
        return batch.log_likelihood.mean(-1) - batch.kl.mean(-1) - apart

    for name in ("learned", "bilbo"):
        check_objective([settings(objective=name)], digits, CPU)
    try:
        objective(on_whole_set=True, name="all-pairs")(pairs)
        with pytest.raises(UserError, match=r"all-pairs.*grows faster than the set.*on_whole_set"):
            check_objective([settings(objective="all-pairs")], digits, CPU)
        objective(name="pairs-of-a-batch")(pairs)
        check_objective([settings(objective="pairs-of-a-batch")], digits, CPU)
    finally:
        for name in ("all-pairs", "pairs-of-a-batch"):
            OBJECTIVES.pop(name, None)


def test_failed_allocations_are_told_apart_from_other_errors() -> None:
    def error(call: object) -> Exception:
        try:
            call()  # type: ignore[operator]
        except Exception as found:
            return found
        raise AssertionError

    torch_error = error(lambda: torch.empty(1 << 60, dtype=torch.uint8))
    assert shortage(torch_error) == (
        "there is not enough memory: 1152921504.6 GB more were asked for"
    )
    numpy_error = error(lambda: np.empty(1 << 60, np.uint8))
    assert shortage(numpy_error) == shortage(torch_error)
    primitive = RuntimeError("could not create a primitive")
    assert shortage(primitive) == "there is not enough memory"
    assert shortage(MemoryError()) == "there is not enough memory"
    assert shortage(OSError(12, "Cannot allocate memory")) == "there is not enough memory"
    for other in (RuntimeError("mat1 and mat2 shapes"), OSError(28, "No space"), ValueError("x")):
        assert shortage(other) is None


def test_as_many_files_are_opened_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        allow_open_files(100, "few")
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 200
        allow_open_files(250, "the locks of 250 runs")
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 250
        with pytest.raises(UserError, match=r"need .* open files .*ulimit -n"):
            allow_open_files(hard, "the locks of many runs")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
