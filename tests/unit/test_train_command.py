"""`vaebench train`: objectives side by side, its last lines, and folders with other runs."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.conftest import PROJECT, read_json
from vaebench import __version__
from vaebench.cli import app
from vaebench.cli.summary import show_bounds
from vaebench.errors import UserError
from vaebench.progress import log
from vaebench.runs.record import RunRecord, read_record

SMALL = ["--epochs", "1", "--hidden-units", "8", "--hidden-layers", "1"]
Train = Callable[..., Result]


@pytest.fixture
def train(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Calls `vaebench train` in an empty folder. A mistake of the user is raised."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, small: bool = True) -> Result:
        options = SMALL if small else []
        result = CliRunner().invoke(
            app, ["train", *options, *arguments, "--data", str(data_root)], env={"COLUMNS": "200"}
        )
        if isinstance(result.exception, UserError):
            raise result.exception
        return result

    return call


def table(result: Result) -> list[list[str]]:
    """The cells of the table of bounds, its header first."""
    text = result.output.split("in metrics.json)\n")[1].split("next: ")[0]
    return [re.split(r" {2,}", line) for line in text.splitlines()]


def next_command(result: Result) -> list[str]:
    (command,) = re.findall(r"^next: vaebench train (.+)$", result.output, re.MULTILINE)
    return shlex.split(command)


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"vaebench {__version__}\n"


def test_an_objective_and_a_length_suffice(tmp_path: Path, train: Train) -> None:
    result = train("--objective", "bilbo")
    assert result.exit_code == 0, result.output
    record = read_record(tmp_path / "out/seed~0/metrics.json")
    run = record.run
    assert (run.dataset, run.likelihood, run.latent_dim) == ("digits", "bernoulli", 2)
    assert record.final.test.elbo is not None
    assert table(result) == [["objective", "seed 0"], ["bilbo", f"{record.final.test.elbo:.2f}"]]
    # The command that it proposes is one that works, and goes on from what is there.
    again = train(*next_command(result), small=False)
    assert again.exit_code == 0, again.output
    assert "1 of 3 runs are trained already" in again.output
    assert table(again)[0] == ["objective", "seed 0", "seed 1", "seed 2", "mean", "95% interval"]
    assert "--objective bilbo,learned" in shlex.join(next_command(again))
    third = train(*next_command(again), small=False)
    assert third.exit_code == 0, third.output
    assert table(third)[0][-2:] == ["minus bilbo", "95% interval of it"]
    assert "--out out-2-epochs --epochs 2 --seeds 0,1,2" in shlex.join(next_command(third))


def test_objectives_are_trained_in_turn_and_compared_by_seed(tmp_path: Path, train: Train) -> None:
    result = train(
        *("--objective", "learned,bilbo", "--seeds", "0,1,2", "--posterior-std", "0.5,1"),
        *("--likelihood", "gaussian", "--data-scale", "2"),
    )
    assert result.exit_code == 0, result.output

    def bounds(folder: str) -> list[float]:
        found = []
        for seed in (0, 1, 2):
            path = tmp_path / "out" / folder / f"seed~{seed}" / "metrics.json"
            bound = read_record(path).final.test.elbo
            assert bound is not None
            found.append(bound)
        return found

    learned = bounds("objective~learned")
    for line, std in zip(table(result)[2:], ("0.5", "1"), strict=True):
        bilbo = bounds(f"objective~bilbo/posterior_std~{std}")
        differences = [a - b for a, b in zip(bilbo, learned, strict=True)]
        mean = sum(differences) / 3
        half = 4.302653 * (sum((d - mean) ** 2 for d in differences) / 2) ** 0.5 / 3**0.5
        assert line[:5] == ["bilbo", std, *(f"{bound:.2f}" for bound in bilbo)]
        assert line[-2:] == [f"{mean:+.2f}", f"{mean - half:+.2f} to {mean + half:+.2f}"]
    assert table(result)[1][-2:] == ["–", "–"]


def test_diverged_runs_are_told_and_end_with_status_3(train: Train) -> None:
    some = train("--objective", "bilbo", "--latent-scale", "1,1e30", "--seeds", "0,1")
    assert some.exit_code == 3, some.output
    assert "2 of 4 runs diverged" in some.output
    assert table(some)[2] == [
        *("bilbo", "1e+30", "diverged at step 1", "diverged at step 1", "–", "–")
    ]
    every = train("--objective", "bilbo", "--latent-scale", "1e30", "--out", "other")
    assert every.exit_code == 3
    assert "1 of 1 runs diverged" in every.output
    proposed = shlex.join(next_command(every))
    assert "--out other-learning-rate-0.0001" in proposed
    assert "--learning-rate 0.0001" in proposed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "2"], r"out/seed~0 holds .*: epochs is 1 there, and 2 here\. Give another"),
        (["--objective", "learned"], "out/seed~0 holds .*: objective is bilbo there, and learned"),
        (["--batch-size", "50", "--seeds", "4"], "batch_size is 300 there, and 50 here"),
        (["--objective", "learned,constant"], "objective is bilbo there, and constant here"),
        (["--tau", "1", "--likelihood", "baggins"], "likelihood is bernoulli there, and baggins"),
        (["--posterior-std", "0.5", "--seeds", "1"], r"posterior_std is 1\.0 there, and 0\.5 here"),
        (
            ["--epochs", "2", "--out", "compared", "--objective", "learned,bilbo"],
            "compared/objective~bilbo/seed~0 holds .* epochs is 1 there, and 2 here",
        ),
        (
            ["--learning-rate", "0.1", "--out", "compared", "--objective", "constant,bilbo"],
            r"compared/objective~bilbo/seed~0 holds .* learning_rate is 0\.001 there, and 0\.1",
        ),
    ],
)
def test_a_folder_with_other_runs_is_refused_before_any_work(
    tmp_path: Path,
    train: Train,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    assert train("--objective", "bilbo").exit_code == 0
    assert train("--objective", "learned,bilbo", "--out", "compared").exit_code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for work in ("ensure_data", "make_resources"):
        monkeypatch.setattr(f"vaebench.cli.training.{work}", None)
    with pytest.raises(UserError, match=message):
        train("--objective", "bilbo", *arguments)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seeds", "1,2"],
        ["--posterior-std", "1,2"],
        ["--objective", "learned,bilbo"],
        ["--out", "compared", "--objective", "constant,bilbo", "--seeds", "1"],
    ],
)
def test_more_runs_of_the_same_settings_may_join(train: Train, arguments: list[str]) -> None:
    assert train("--objective", "bilbo").exit_code == 0
    assert train("--objective", "learned,bilbo", "--out", "compared").exit_code == 0
    assert train("--objective", "bilbo", *arguments).exit_code == 0


def test_many_seeds_have_their_mean_alone_and_one_none(
    train: Train, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    train("--objective", "bilbo")
    record = RunRecord.model_validate(
        {k: v for k, v in read_json(tmp_path / "out/seed~0/metrics.json").items() if k != "sha256"}
    )
    many = [
        record.model_copy(update={"run": record.run.model_copy(update={"seed": seed})})
        for seed in range(7)
    ]
    capsys.readouterr()
    show_bounds(many, ["seed"])
    header, line = capsys.readouterr().out.splitlines()[-2:]
    assert re.split(r" {2,}", header) == ["objective", "mean", "95% interval"]
    text = f"{record.final.test.elbo:.2f}"
    assert re.split(r" {2,}", line) == ["bilbo", text, f"{text} to {text}"]


def test_after_a_large_seed_come_small_ones(train: Train) -> None:
    result = train("--objective", "bilbo", "--seeds", f"1,{2**63 - 1}")
    (command,) = re.findall(r"^next: (.+)$", result.output, re.MULTILINE)
    assert f"--seeds 1,{2**63 - 1},0" in command


def test_in_the_project_the_workflow_comes_next(train: Train, tmp_path: Path) -> None:
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow/Snakefile").touch()
    result = train("--objective", "learned,bilbo", "--seeds", "0,1,2")
    (command,) = re.findall(r"^next: (.+)$", result.output, re.MULTILINE)
    assert command == "snakemake --cores all --configfile config/quick.yaml"
    assert (PROJECT / "config/quick.yaml").exists()


@pytest.mark.parametrize("text", ["[learned,bilbo]", "learned bilbo", "learned,", "Learned"])
def test_what_is_no_list_of_names_is_refused_in_words(train: Train, text: str) -> None:
    with pytest.raises(UserError, match=r"--objective: .* is not a name .* learned,bilbo"):
        train("--objective", text)


def test_names_in_a_list_may_have_spaces(train: Train) -> None:
    assert train("--objective", "learned, bilbo").exit_code == 0


def test_a_run_that_diverges_beside_others_is_the_last_line_and_the_status(
    train: Train, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "propagate", True)
    result = train("--objective", "bilbo", "--latent-scale", "1,1e30")
    assert result.exit_code == 3
    assert caplog.messages[-1] == ("1 of 2 runs diverged: out/latent_scale~1e+30/seed~0 at step 1")
