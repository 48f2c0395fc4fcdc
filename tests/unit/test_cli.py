import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from tests.conftest import PROJECT, read_json
from vaebench.__main__ import main as start
from vaebench.cli import app
from vaebench.cli.app import PURPOSES, parse_duration, parse_list
from vaebench.errors import UserError
from vaebench.experiment.settings import Settings

TRAIN = [
    *("train", "--dataset", "digits", "--likelihood", "bernoulli", "--latent-dim", "2"),
    *("--epochs", "1", "--hidden-units", "8", "--hidden-layers", "1"),
]


def vaebench(
    *arguments: str, cwd: Path, environment: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vaebench", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


def test_every_setting_of_a_run_is_an_option_of_train() -> None:
    text = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).output
    for name in Settings.model_fields:
        option = "--seeds" if name == "seed" else f"--{name.replace('_', '-')}"
        assert option in text


COMMANDS = ["train", "run", "data", "config", "collect", "draw", "table", "report"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_option(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    lines = re.findall(r"│[ *]+--[\w-]+ .*│", result.output)
    assert lines
    for line in lines:
        assert re.search(r"(<[^>]+>|--help) +\S", line), line


def test_train_writes_a_folder_for_each_seed(tmp_path: Path, data_root: Path) -> None:
    done = vaebench(
        *TRAIN, "--objective", "bilbo", "--seeds", "0,3", "--posterior-std", "0.5,1",
        "--out", "out", "--data", str(data_root), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n\n")[0].splitlines() == [
        f"out/posterior_std~{std}/seed~{seed}/metrics.json"
        for std in ("0.5", "1")
        for seed in (0, 3)
    ]
    for file in ("metrics.json", "arrays.npz", "model.safetensors"):
        assert (tmp_path / "out" / "posterior_std~0.5" / "seed~3" / file).exists()


def test_train_prepares_the_embedded_data_itself(tmp_path: Path) -> None:
    done = vaebench(*TRAIN, "--objective", "learned", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = read_json(tmp_path / "out/seed~0/metrics.json")["run"]
    assert isinstance(run, dict)
    assert run["dataset"] == "digits"
    assert "epoch 1/1" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective", "elbow"], "objective 'elbow' is not one of: learned, constant, bilbo"),
        (
            ["--objective", "bilbo", "--posterior-std", "0"],
            "posterior_std should be greater than 0 (found 0.0)",
        ),
        (["--objective", "learned", "--posterior-std", "1"], "takes 'posterior_std'"),
        (["--objective", "bilbo", "--data-scale", "2"], "takes 'data_scale'"),
        (["--objective", "bilbo", "--seeds", "0,x"], "--seeds: 'x' in '0,x' is not a whole number"),
        (["--objective", "bilbo", "--seeds", "1,1"], "names a value twice"),
        (["--objective", "bilbo", "--threads", "100000"], "should be less than or equal to 1024"),
        (["--objective", "bilbo", "--epochs", "9" * 23], "epochs: Input should be less than"),
        (["--objective", "bilbo", "--save-every", "9" * 23], "should be less than or equal to"),
        (["--objective", "bilbo", "--latent-dim", "99999999"], "latent_dim: Input should be less"),
        (["--objective", "bilbo", "--hidden-units", "99999999"], "should be at most 100000"),
        (["--objective", "bilbo", "--device", "cuda"], "not available here"),
        (["--objective", "bilbo", "--device", "abacus"], "is not one of: auto, cpu"),
        (["--objective", "bilbo", "--batch-size", "9999"], "exceeds the 1500 training images"),
    ],
)
def test_a_users_mistake_gets_one_line_and_no_traceback(
    tmp_path: Path, data_root: Path, arguments: list[str], message: str
) -> None:
    if "cuda" in arguments:
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device, so asking for it is no mistake")
    done = vaebench(*TRAIN, *arguments, "--out", "out", "--data", str(data_root), cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def tiny_tier(folder: Path, epochs: int) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "tiny.yaml").write_text(
        "tier: tiny\n"
        "experiments:\n"
        "  - name: first\n"
        "    settings: {dataset: digits, likelihood: bernoulli, latent_dim: 2, network: mlp,"
        " hidden_units: 8, hidden_layers: 1, batch_size: 50, learning_rate: 0.001,"
        f" epochs: {epochs}}}\n"
        "    axes: {objective: [learned, bilbo], seed: [0, 1]}\n"
        "figures: []\n"
        "execution: {save_every: 1}\n"
    )


def test_run_trains_a_tier_where_the_workflow_looks_for_it(tmp_path: Path) -> None:
    tiny_tier(tmp_path, epochs=1)
    done = vaebench("run", "--tier", "tiny", "--cell", "objective~bilbo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    runs = tmp_path / "results/tiny/runs/first"
    weights = tmp_path / "results/tiny/weights/first"
    assert (runs / "objective~bilbo/seed~1/metrics.json").exists()
    assert (weights / "objective~bilbo/seed~1/model.safetensors").exists()
    assert not (runs / "objective~learned").exists()
    done = vaebench("run", "--tier", "tiny", "--experiment", "first", cwd=tmp_path)
    assert "2 of 2 runs are trained" in done.stderr
    assert "2 of 2 jobs are complete" in done.stderr
    assert (runs / "objective~learned/seed~0/metrics.json").exists()
    assert vaebench("collect", "--tier", "tiny", cwd=tmp_path).returncode == 0
    shutil.copytree(tmp_path / "results/tiny", tmp_path / "elsewhere/tiny")
    for command in (
        ["report", "--make"],
        ["collect"],
        ["run"],
        ["evaluate", "--experiment", "first"],
        ["latent", "--experiment", "first"],
    ):
        copied = vaebench(*command, "--tier", "elsewhere/tiny", cwd=tmp_path)
        assert copied.returncode == 2, copied.stderr
        assert "is a copy of the tier 'tiny', whose results are in results/tiny" in copied.stderr
    assert vaebench("collect", "--tier", "results/tiny", cwd=tmp_path).returncode == 0
    for arguments, message in (
        (
            ["--cell", "objective~x"],
            "there is no job 'objective~x'; there are:\n  objective~learned",
        ),
        (["--experiment", "second"], "has no experiment 'second'; it has: first"),
        (["--budget", "soon"], "'soon' is not a duration"),
    ):
        wrong = vaebench("run", "--tier", "tiny", *arguments, cwd=tmp_path)
        assert wrong.returncode == 2
        assert message in wrong.stderr


def test_run_stops_within_its_budget_and_goes_on_later(tmp_path: Path) -> None:
    tiny_tier(tmp_path, epochs=60)
    texts = []
    for budget in ("0s", "0s", "1h"):
        done = vaebench("run", "--tier", "tiny", "--budget", budget, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        texts.append(done.stderr)
    assert "the budget is spent: 0 of 2 jobs" in texts[0]
    assert "continues after step 1 of" in texts[1]
    assert "continues after step 2 of" in texts[2]
    assert "2 of 2 jobs are complete" in texts[-1]


def test_the_wall_time_of_a_job_may_be_over_before_its_budget(tmp_path: Path) -> None:
    tiny_tier(tmp_path, epochs=60)
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho 0:00\n")
    squeue.chmod(0o755)
    job = {"SLURM_JOB_ID": "9", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = vaebench("run", "--tier", "tiny", "--budget", "1h", cwd=tmp_path, environment=job)
    assert done.returncode == 75, done.stderr
    assert "the wall time is nearly over: 0 of 2 jobs" in done.stderr
    done = vaebench("run", "--tier", "tiny", "--budget", "0s", cwd=tmp_path)
    assert "continues after step 1 of" in done.stderr


def test_planning_and_help_do_not_import_torch() -> None:
    script = (
        "import sys, vaebench.cli, vaebench.workflow.rules, vaebench.runs.sources\n"
        "import vaebench.execution.device\n"
        "print([m for m in ('torch', 'pandas', 'matplotlib', 'seaborn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_training_job_imports_torch_and_nothing_heavier(tmp_path: Path, data_root: Path) -> None:
    arguments = [*TRAIN, "--objective", "bilbo", "--out", "out", "--data", str(data_root)]
    script = (
        "import sys\n"
        "from vaebench.cli import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        "heavy = ('pandas', 'matplotlib', 'seaborn', 'sklearn', 'scipy', 'snakemake',"
        " 'torchvision', 'torch._dynamo')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


class _Interrupted(ModuleType):
    """A module during whose import Ctrl-C is pressed."""

    def __getattr__(self, name: str) -> object:
        raise KeyboardInterrupt


def test_ctrl_c_ends_without_a_traceback_also_during_imports(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "vaebench.cli", _Interrupted("vaebench.cli"))
    with pytest.raises(SystemExit) as stopped:
        start()
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "vaebench: stopped\n"


def test_lists_and_durations() -> None:
    assert parse_list("seeds", "0,1,2", int) == [0, 1, 2]
    assert parse_list("tau", "0.5", float) == [0.5]
    assert [parse_duration(text) for text in ("90s", "9m", "1.5h")] == [90, 540, 5400]
    with pytest.raises(UserError):
        parse_list("seeds", "", int)
    for text in ("9", "m", "1e3s", "9999h", "9" * 5000 + "s"):
        with pytest.raises(UserError, match="is not a duration"):
            parse_duration(text)


def test_help_groups_the_commands_by_purpose_and_hides_those_of_the_workflow() -> None:
    """Each command has a purpose or is hidden, and the headings stand in the order of purposes."""
    commands = typer.main.get_group(app).commands
    hidden = {name for name, command in commands.items() if command.hidden}
    assert hidden == {"collect", "table", "manifest", "pages", "schema"}
    for name, command in commands.items():
        assert name in hidden or getattr(command, "rich_help_panel", None) in PURPOSES, name
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).output
    assert re.findall(r"╭─ (.*?) ─+╮", text) == ["Options", *PURPOSES]
    assert not hidden & set(re.findall(r"^│ (\w+)", text, re.MULTILINE))
    for name in hidden:
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
