"""What records say of the machine that made them, and what they keep to themselves."""

import os
import platform
import re
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import matplotlib
import pytest
import seaborn as sns
import torch

from tests.conftest import read_json
from tests.unit.test_session import MakeSettings, targets_in
from vaebench.execution import worker
from vaebench.execution.session import Resources, train_targets
from vaebench.execution.slurm_job import describe_job
from vaebench.execution.worker import describe_worker
from vaebench.figures.style import set_style
from vaebench.files import digest_bytes
from vaebench.paths import STORE, chosen_store
from vaebench.runs.environment import environment_digest
from vaebench.runs.record import Worker
from vaebench.runs.store import run_folder
from vaebench.workflow.rules import environment_file, name_user

CPU = torch.device("cpu")


def test_a_worker_names_what_decides_rounding_and_no_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    found = describe_worker(CPU, 1)
    assert found.arithmetic["MKL_CBWR"] == "COMPATIBLE"
    assert found.arithmetic["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert "ATEN_CPU_CAPABILITY" not in found.arithmetic
    assert platform.release() not in found.model_dump_json()
    assert platform.machine() in found.platform


def test_a_former_worker_keeps_its_text() -> None:
    values = describe_worker(CPU, 1).model_dump(mode="json")
    del values["arithmetic"]
    former = Worker.model_validate(values)
    assert former.arithmetic == {}
    assert former.model_dump(mode="json") == values


def test_the_name_of_a_node_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURMD_NODENAME", "node-of-the-lab")
    assert "node-of-the-lab" not in describe_job().values()
    assert describe_job()["SLURM_JOB_ID"] == "7"


def test_the_digest_of_the_environment_is_also_of_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert environment_digest() is None
    Path("requirements.lock").write_text("numpy==2\n", encoding="utf-8")
    expected = f"numpy==2\ntorch=={version('torch')}\n"
    assert environment_digest() == digest_bytes(expected.encode())


def test_git_that_mistrusts_the_owner_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = tmp_path / "clone"
    module = repository / "src" / "worker.py"
    module.parent.mkdir(parents=True)
    module.write_text("", encoding="utf-8")
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    monkeypatch.setattr(worker, "__file__", str(module))
    assert worker._git("rev-parse", "HEAD") is not None
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    assert worker._git("rev-parse", "HEAD") is None
    assert f"safe.directory '{repository}'" in capsys.readouterr().err


def test_a_run_holds_nothing_of_its_user(tmp_path: Path, data_root: Path) -> None:
    """Neither in its results nor in the store, but for the locks, which stay here."""
    home = tmp_path / "marked-home"
    home.mkdir()
    marks = {"LOGNAME": "marked-user", "USER": "marked-user", "HOME": str(home),
             "MARKED": "marked-value", "SLURMD_NODENAME": "marked-node"}  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "vaebench", "train", "--objective", "bilbo", "--epochs", "1",
         "--hidden-units", "8", "--data", str(data_root), "--out", "out"],
        cwd=tmp_path, env=os.environ | marks, check=True, capture_output=True,
    )  # fmt: skip
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "locks" not in path.parts]
    assert len(files) > 6
    for path in files:
        content = path.read_bytes()
        for mark in ("marked-", str(tmp_path), platform.release()):
            assert mark.encode() not in content, f"{path} holds {mark}"
    record = (tmp_path / "out" / "seed~0" / "metrics.json").read_text("utf-8")
    assert not re.search(rf"\b{re.escape(platform.node())}\b", record)


def test_missing_weights_are_trained_again_by_starting_over(
    tmp_path: Path, data_root: Path, settings: MakeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    resources = Resources(CPU, data_root, tmp_path / "store", save_every=1)
    targets = targets_in(tmp_path / "out", [settings(seed=0, epochs=1)])
    assert train_targets("test", targets, resources)
    run_hash = str(read_json(targets[0].folder / "metrics.json")["run_hash"])
    before = targets[0].weights.read_bytes()
    kept = run_folder(resources.store, run_hash) / "model.safetensors"
    kept.unlink()
    starting_over = replace(resources, start_over=True)
    train_targets("test", targets, starting_over)
    assert not kept.exists()  # the results have them
    targets[0].weights.unlink()
    capsys.readouterr()
    train_targets("test", targets, resources)
    assert "the weights of 1 of 1 runs are missing" in capsys.readouterr().err
    assert not targets[0].weights.exists()
    train_targets("test", targets, starting_over)
    assert targets[0].weights.read_bytes() == kept.read_bytes() == before


def test_drawing_starts_from_the_librarys_defaults() -> None:
    set_style()
    expected = dict(matplotlib.rcParams)
    with matplotlib.rc_context():
        matplotlib.rcParams.update(
            {"savefig.bbox": "tight", "text.usetex": True, "axes.facecolor": "red"}
        )
        sns.set_theme(palette="rocket")
        set_style()
        assert dict(matplotlib.rcParams) == expected
    assert matplotlib.get_backend().lower() == "agg"


def test_a_quoted_home_in_the_place_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/mine")
    monkeypatch.setenv("VAEBENCH_STORE", "~/store")
    assert chosen_store() == Path("/home/of/mine/store")
    monkeypatch.delenv("VAEBENCH_STORE")
    assert chosen_store() == STORE


def test_braces_in_a_folders_name_are_no_wildcards() -> None:
    assert environment_file("/a/workflow/rules") == "../envs/vaebench.yaml"
    assert environment_file("/a {y}/workflow/rules") == "/a {{y}}/workflow/envs/vaebench.yaml"


def test_a_user_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setenv("LOGNAME", "mine")
    name_user()
    assert os.environ["LOGNAME"] == "mine"
    monkeypatch.setattr("vaebench.workflow.rules.getpass.getuser", unknown)
    name_user()
    assert os.environ["LOGNAME"] == "unknown"
