"""Objectives and more from a file outside this repository, and what is said about wrong ones."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.packs import MakeSettings
from tests.registries import registries_apart
from vaebench.cli import app
from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.execution.check_objective import check_objective, check_once
from vaebench.experiment.plugins import load_plugins
from vaebench.experiment.tier import dump_tier, load_tier
from vaebench.objectives import OBJECTIVES
from vaebench.runs.record import read_record
from vaebench.runs.sources import objective_part, source_digest

CPU = torch.device("cpu")
START = "from vaebench import Parameter, dataset, likelihood, network, objective\nimport torch\n"

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _apart() -> Iterator[None]:
    with registries_apart():
        yield


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a plugin's file."""

    def to(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text(START + text)
        return path

    return to


WEIGHTED = """
@objective(parameters={"weight": 1.0})
def weighted(batch, weight):
    return (batch.log_likelihood - weight * batch.kl).mean(-1)
"""

WRONG = {
    "a scalar": ("return (b.log_likelihood - b.kl).mean()", r"of shape \[\].*\.mean\(-1\), not"),
    "no mean": ("return b.log_likelihood - b.kl", r"of shape \[2, 4\]: it should .* shape \[2\]"),
    "no tensor": ("return 3.0", "returned float: it should return a tensor"),
    "nothing": ("b.kl.mean(-1)", "returned NoneType"),
    "whole numbers": ("return b.kl.mean(-1).long()", "numbers of type torch.int64"),
    "detached": ("return b.kl.mean(-1).detach()", "without a gradient"),
    "mixed runs": (
        "return (b.log_likelihood - b.kl).mean(-1) - b.kl.mean()",
        "the value of one run changes with the data of another",
    ),
    "global noise": (
        "return (b.log_likelihood + torch.randn(b.log_likelihood.shape)).mean(-1)",
        "draws from torch's global random numbers.*batch.noise",
    ),
    "other noise": (
        "import random; return (random.random() * b.log_likelihood).mean(-1)",
        "gives another value each time",
    ),
    "an exception": ("return b.log_likelihoods.mean(-1)", "AttributeError.*mine.py, line"),
    "a value in place": (
        "v = b.log_likelihood; v -= b.kl; return v.mean(-1)",
        r"changes batch\.log_likelihood in place.*value = value - kl",
    ),
    "codes in place": (
        "return (b.log_likelihood - b.kl + 0 * b.z.mul_(2).sum(-1)).mean(-1)",
        "(changes batch|modified by an inplace)",
    ),
    "late noise": (
        "return b.kl.mean(-1) + (torch.randn(1) if b.progress > 0.5 else 0)",
        "draws from torch's global random numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_objective_is_refused_before_training(
    write: Write, settings: MakeSettings, digits: Arrays, case: str
) -> None:
    body, message = WRONG[case]
    load_plugins([write(f"@objective()\ndef mine(b):\n    {body}\n")])
    with pytest.raises(UserError, match=f"(?s)objective 'mine'.*{message}"):
        check_objective([settings(objective="mine")], digits, CPU)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_objective_of_ours_is_refused(
    settings: MakeSettings, digits: Arrays, objective: str
) -> None:
    state = torch.get_rng_state()
    check_objective([settings(objective=objective)], digits, CPU)
    assert torch.equal(state, torch.get_rng_state())


def test_a_wrong_likelihood_is_refused_before_training(
    write: Write, settings: MakeSettings, digits: Arrays
) -> None:
    load_plugins(
        [
            write(
                "@likelihood()\ndef flat(x, decoded):\n    return (x - decoded.output).square()\n"
                "@likelihood()\ndef noisy(x, decoded):\n"
                "    return (x - decoded.output).sum(-1) + torch.rand(1)\n"
            )
        ]
    )
    with pytest.raises(UserError, match=r"likelihood 'flat' returned .* \[2, 4, 784\].*sum\(-1\)"):
        check_objective([settings(likelihood="flat")], digits, CPU)
    with pytest.raises(UserError, match="likelihood 'noisy' draws from torch's global random"):
        check_objective([settings(likelihood="noisy")], digits, CPU)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@objective\ndef mine(batch): ...\n", "mine.py: 'mine' is decorated with @objective: wri"),
        ("@objective(posterior='thick')\ndef mine(batch): ...\n", "posterior 'thick' is not one"),
        ("@objective(prior='thick')\ndef mine(batch): ...\n", "prior 'thick' is not one of"),
        ("x = 1\ny = x.z\n", "mine.py, line 4: AttributeError"),
        ("def (:\n", "mine.py, line 3: SyntaxError"),
        ("import not_there\n", "line 3: ModuleNotFoundError: No module named 'not_there'"),
        (
            "@objective(name='learned')\ndef mine(batch): ...\n",
            "two objectives are named 'learned'",
        ),
        ("mine = objective(name='mine')(lambda batch: 0)\n", "objective 'mine' is a lambda: write"),
        (
            "class Mine:\n    @objective()\n    def mine(self, batch): ...\n",
            "objective 'mine' is a method: write it with def, at the top of a file",
        ),
        ("mine = objective(name='mine')(print)\n", "objective 'mine' is no Python function"),
        (
            "from functools import partial\ndef f(batch, w): ...\nobjective()(partial(f, w=1))\n",
            'has no name: write objective\\(name="..."\\)',
        ),
        ("likelihood()(print.__class__)\n", "is no Python function: write"),
        (
            "from functools import partial\ndef f(x, d, w): ...\nlikelihood()(partial(f, w=1))\n",
            'has no name: write likelihood\\(name="..."\\)',
        ),
        ("exec('def f(b): ...')\nobjective()(f)\n", "objective 'f' is in no file: write"),
        ("likelihood(name='mine')(lambda x, d: 0)\n", "likelihood 'mine' is a lambda: write"),
    ],
)
def test_a_file_that_fails_is_named(write: Write, text: str, message: str) -> None:
    before = dict(OBJECTIVES)
    with pytest.raises(UserError, match=message):
        load_plugins([write(text)])
    assert before == OBJECTIVES, "a part of the file stays registered"
    with pytest.raises(UserError, match=r"plugin gone\.py cannot be read: No such file"):
        load_plugins([Path("gone.py")])


def test_a_function_without_a_decorator_is_found(write: Write, settings: MakeSettings) -> None:
    load_plugins([write("def my_vae(batch):\n    return batch.kl.mean(-1)\n")])
    with pytest.raises(ValueError, match="has a function of this name without a decorator"):
        settings(objective="my-vae")


def test_a_changed_file_is_loaded_again(write: Write) -> None:
    load_plugins([write(WEIGHTED)])
    first = OBJECTIVES["weighted"]
    load_plugins([write(WEIGHTED)])
    assert OBJECTIVES["weighted"] is first
    load_plugins([write(WEIGHTED.replace("weighted", "other"))])
    assert "weighted" not in OBJECTIVES
    assert "other" in OBJECTIVES


def test_a_file_may_be_imported_and_loaded(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a notebook that imports the file and then opens a tier which names it."""
    path = write(WEIGHTED, "imported_too.py")
    monkeypatch.syspath_prepend(tmp_path)
    import_module("imported_too")
    load_plugins([path])
    assert "weighted" in OBJECTIVES
    # Another file cannot take its name.
    with pytest.raises(UserError, match="two objectives are named 'weighted'"):
        load_plugins([write(WEIGHTED, "another.py")])


def test_all_objectives_are_checked_before_the_first_is_trained(
    write: Write, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("@objective()\ndef mine(batch):\n    return batch.kl\n")
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "--data", str(data_root), "--plugin", str(path), "--epochs", "1"]
    result = CliRunner().invoke(app, [*arguments, "--objective", "learned,mine"])
    assert isinstance(result.exception, UserError)
    assert "objective 'mine' returned a tensor of shape [2, 4]" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_run_of_a_plugin_that_is_not_loaded_says_so(
    write: Write, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(WEIGHTED)
    monkeypatch.chdir(tmp_path)
    arguments = ["--data", str(data_root), "--epochs", "1", "--hidden-units", "8"]
    plugin = ["--plugin", str(path), "--objective", "weighted", "--weight", "0.5,2"]
    result = CliRunner().invoke(app, ["train", *plugin, *arguments])
    assert result.exit_code == 0, result.output
    run = tmp_path / "out" / "weight~0.5" / "seed~0"
    assert read_record(run / "metrics.json").run.get("weight") == 0.5
    OBJECTIVES.pop("weighted")
    with pytest.raises(UserError, match="a run of objective 'weighted', which is not registered"):
        read_record(run / "metrics.json")


def test_a_factory_makes_several_objectives(
    write: Write, settings: MakeSettings, digits: Arrays
) -> None:
    text = """
def make(power):
    @objective(name=f"power-{power}")
    def bound(batch):
        return (batch.log_likelihood - batch.kl**power).mean(-1)

for power in (1, 2):
    make(power)
"""
    load_plugins([write(text)])
    for name in ("power-1", "power-2"):
        check_objective([settings(objective=name)], digits, CPU)
    assert objective_part("power-1") != objective_part("power-2")


def test_every_choice_is_checked(write: Write, settings: MakeSettings, digits: Arrays) -> None:
    text = """
@objective(parameters={"way": Parameter("good", choices=("good", "bad"))})
def choosy(b, way):
    return (b.log_likelihood - b.kl).mean(-1) if way == "good" else b.kl.mean()
"""
    load_plugins([write(text)])
    check_once([settings(objective="choosy", way="good")], digits, CPU)
    with pytest.raises(UserError, match="objective 'choosy' returned a tensor of shape"):
        check_once([settings(objective="choosy", way="bad")], digits, CPU)


def test_a_network_that_draws_global_numbers_is_refused(
    write: Write, settings: MakeSettings, digits: Arrays
) -> None:
    text = """
from vaebench.models.mlp import Net

@network("mlp with noise", parameters={
    "hidden_units": Parameter(8, minimum=1), "hidden_layers": Parameter(1, minimum=1)})
class Mixes(Net):
    def layers(self, runs):
        torch.randn(1)
        return super().layers(runs)
"""
    load_plugins([write(text)])
    with pytest.raises(UserError, match="network 'mixes' draws from torch's global random numbers"):
        check_objective([settings(network="mixes")], digits, CPU)


def test_a_dataset_may_be_loaded_again(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '@dataset("stripes")\ndef stripes():\n    ...\n'
    path = write(text, "my_parts.py")
    monkeypatch.syspath_prepend(str(path.parent))
    import_module("my_parts")
    load_plugins([path])
    write(text + "# changed\n", "my_parts.py")
    load_plugins([path])
    other = write(text, "others.py")
    with pytest.raises(UserError, match="there is a dataset 'stripes' already"):
        load_plugins([other])


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ('{"flag": True}', "cannot be true or false"),
        ('{"count": 1.0}', "which Snakemake reserves"),
        ('{"items": 1.0}', "which Snakemake reserves"),
    ],
)
def test_parameters_that_cannot_be_are_refused(
    write: Write, declaration: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load_plugins([write(f"@objective(parameters={declaration})\ndef mine(b, **o):\n    ...\n")])


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ('{"data": 1.0}', "the parameter 'data' is named like an option of this command"),
        ('{"beta": 1}', "the parameter 'beta' is declared as .* and as whole number"),
    ],
)
def test_parameters_that_clash_are_refused_by_the_command(
    write: Write, declaration: str, message: str
) -> None:
    path = write(f"@objective(parameters={declaration})\ndef mine(b, **o):\n    ...\n")
    done = CliRunner().invoke(app, ["train", "--plugin", str(path), "--objective", "mine"])
    assert isinstance(done.exception, UserError)
    assert re.search(message, str(done.exception))


def test_a_plugin_changes_the_digest_of_no_other_run(write: Write, settings: MakeSettings) -> None:
    before = source_digest(settings())
    load_plugins([write(WEIGHTED)])
    assert source_digest(settings()) == before


def test_a_config_names_plugins_beside_it(write: Write, tmp_path: Path) -> None:
    write(WEIGHTED, "there.py")
    folder = tmp_path / "configs"
    folder.mkdir()
    config = folder / "mine.yaml"
    config.write_text(
        "tier: mine\nplugins: [../there.py]\nfigures: []\nexperiments:\n"
        "  - name: weights\n    settings: {dataset: digits, likelihood: bernoulli, latent_dim: 2,\n"
        "      network: mlp, hidden_units: 8, hidden_layers: 1, batch_size: 50, epochs: 1,\n"
        "      learning_rate: 1e-3}\n"
        "    axes: {objective: [learned, weighted], weight: [0.5, 2], seed: [0, 1]}\n"
        "    packed: [weight, seed]\n"
    )
    tier = load_tier(config)
    assert len(tier.runs) == 2 + 4
    # Written elsewhere, the path leads to the same file.
    other = tmp_path / "results" / "mine" / "config.yaml"
    other.parent.mkdir(parents=True)
    other.write_text(dump_tier(tier, other.parent))
    assert "../../there.py" in other.read_text()
    assert str(tmp_path) not in other.read_text()
    assert load_tier(other) == tier
    config.write_text(config.read_text().replace("there.py", "nowhere.py"))
    with pytest.raises(UserError, match=r"mine.yaml is refused:\nplugins: plugin .*nowhere.py can"):
        load_tier(config)


def test_a_network_of_a_plugin_trains(write: Write, settings: MakeSettings, digits: Arrays) -> None:
    text = """
from vaebench.models.mlp import Net

@network("mlp with another name", parameters={
    "hidden_units": Parameter(8, minimum=1), "hidden_layers": Parameter(1, minimum=1)})
class Mine(Net):
    pass
"""
    path = write(text)
    load_plugins([path])
    run = settings(network="mine", hidden_units=4)
    check_objective([run], digits, CPU)
    assert source_digest(run) != source_digest(settings(hidden_units=4))


def test_a_run_of_a_plugin_is_measured_with_its_file(write: Write, tmp_path: Path) -> None:
    """In processes of their own, since a plugin stays registered."""
    plugin = write(
        "from vaebench import objective\n\n\n"
        "@objective()\ndef ours(batch):\n"
        "    return (batch.log_likelihood - 0.9 * batch.kl).mean(-1)\n"
    )

    def vaebench(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vaebench", *arguments, "--store", "store"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    trained = vaebench(
        *("train", "--plugin", str(plugin), "--objective", "ours", "--epochs", "1"),
        *("--hidden-units", "8", "--batch-size", "500", "--out", "out"),
    )
    assert trained.returncode == 0, trained.stderr
    small = ("out/seed~0", "--draws", "50", "--images", "0", "--samples", "0", "--turned", "0")
    refused = vaebench("latent", *small)
    assert refused.returncode == 2
    assert "objective 'ours', which is not registered here" in refused.stderr
    done = vaebench("latent", *small, "--plugin", str(plugin))
    assert done.returncode == 0, done.stderr
    assert "ampling from the prior" in done.stdout
