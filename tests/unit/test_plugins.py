"""Objectives and more from a file outside this repository, and what is said about wrong ones."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

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
from vaebench.runs.sources import lasting_source_digest, objective_part, source_digest

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


def digest_of(path: Path, settings: MakeSettings) -> str:
    """The digest of the sources of a run, in a process of its own, since digests are cached."""
    run = settings(objective="learned").model_dump_json()
    code = f"""
import json
from pathlib import Path
from vaebench.experiment.plugins import load_plugins
from vaebench.experiment.settings import Settings
from vaebench.runs.record import read_record
from vaebench.runs.sources import source_digest
load_plugins([Path({str(path)!r})])
print(source_digest(Settings.model_validate(json.loads({run!r}) | {{"objective": "mine"}})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_digest_follows_the_file_and_what_it_imports(
    write: Write, settings: MakeSettings
) -> None:
    helper = write("def weigh(x):\n    return 2 * x\n", "helper.py")
    text = (
        "from helper import weigh\nUNUSED = 1\n@objective()\ndef mine(batch):\n"
        "    return weigh(batch.log_likelihood - batch.kl).mean(-1)\n"
    )
    path = write(text)
    before = digest_of(path, settings)
    write(text.replace("UNUSED = 1", "UNUSED = 2  # no matter"))
    assert digest_of(path, settings) == before
    write(text.replace("batch.kl)", "2 * batch.kl)"))
    assert digest_of(path, settings) != before
    write(text)
    helper.write_text(helper.read_text().replace("2 * x", "3 * x"))
    assert digest_of(path, settings) != before


IMPORTS = {
    "a module": ("import helper", "helper.weigh", "helper.py"),
    "a name": ("from helper import weigh", "weigh", "helper.py"),
    "all names": ("from helper import *", "weigh", "helper.py"),
    "a module of a package": ("import tools.helper", "tools.helper.weigh", "tools/helper.py"),
    "a module from a package": ("from tools import helper", "helper.weigh", "tools/helper.py"),
    "under another name": ("import tools.helper as h", "h.weigh", "tools/helper.py"),
    "in turn": ("import between", "between.weigh", "helper.py"),
}


@pytest.mark.parametrize("case", IMPORTS)
def test_an_edit_counts_in_the_same_process(
    write: Write, settings: MakeSettings, tmp_path: Path, case: str
) -> None:
    statement, call, file = IMPORTS[case]
    (tmp_path / "tools").mkdir()
    write("from helper import *\n", "between.py")
    text = "def weigh(x):\n    return {} * x\n"
    (tmp_path / file).write_text(text.format(2))
    own = (
        f"{statement}\n@objective()\ndef mine(batch):\n"
        f"    return {call}(batch.log_likelihood - batch.kl).mean(-1)\n"
    )
    load_plugins([write(own)])
    run = settings(objective="mine")
    first, lasting = source_digest(run), lasting_source_digest(run)
    one = Ones()
    assert OBJECTIVES["mine"].bound(one).tolist() == [2.0]
    (tmp_path / file).write_text(text.format(50))
    load_plugins([tmp_path / "mine.py"])
    assert OBJECTIVES["mine"].bound(one).tolist() == [50.0]
    assert source_digest(run) != first
    assert lasting_source_digest(run) != lasting
    (tmp_path / file).write_text(text.format(2))
    load_plugins([tmp_path / "mine.py"])
    assert source_digest(run) == first
    write(own.replace("batch.kl)", "2 * batch.kl)"))
    load_plugins([tmp_path / "mine.py"])
    assert source_digest(run) != first


class Ones:
    """What these objectives read of a batch: of one run with one image."""

    log_likelihood = torch.ones(1, 1)
    kl = torch.zeros(1, 1)


def test_each_file_has_the_helper_beside_it(tmp_path: Path) -> None:
    theirs = ModuleType("helper")
    sys.modules["helper"] = theirs
    try:
        for name, weight in (("a", 1), ("b", 77)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "helper.py").write_text(f"W = {weight}\n")
            (tmp_path / name / "mine.py").write_text(
                f"{START}import helper\n@objective()\ndef of_{name}(batch):\n"
                "    return helper.W * batch.log_likelihood.mean(-1)\n"
            )
        load_plugins([tmp_path / "a" / "mine.py", tmp_path / "b" / "mine.py"])
        assert sys.modules["helper"] is theirs
    finally:
        sys.modules.pop("helper", None)
    values = [OBJECTIVES[name].bound(Ones()).item() for name in ("of-a", "of-b")]
    assert values == [1.0, 77.0]


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
