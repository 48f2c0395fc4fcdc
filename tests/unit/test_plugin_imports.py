"""Files beside a plugin that it imports: they count, as they are now, and each has its own."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.packs import MakeSettings
from tests.registries import registries_apart
from vaebench.experiment.plugins import load_plugins
from vaebench.local_imports import imported_by, is_installed, with_imported
from vaebench.objectives import OBJECTIVES
from vaebench.runs.canonical import PACKAGE
from vaebench.runs.sources import lasting_source_digest, source_digest

START = "from vaebench import objective\n"
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


def test_a_file_beside_this_package_leaves_it_alone(tmp_path: Path) -> None:
    """As in src/, or where both are installed."""
    (tmp_path / "site-packages" / "torch").mkdir(parents=True)
    (tmp_path / "site-packages" / "torch" / "__init__.py").touch()
    installed = tmp_path / "site-packages" / "mine.py"
    installed.write_text(f"import torch\n{START}")
    before = sys.modules["torch"], sys.modules["vaebench"]
    assert with_imported(installed) == [installed]
    own = PACKAGE.parent / "mine.py"
    assert imported_by(ast.parse(START), own.parent) == []
    load_plugins([installed])
    assert (sys.modules["torch"], sys.modules["vaebench"]) == before


DECORATED = """
from functools import wraps
def times(factor):
    def decorate(function):
        @wraps(function)
        def changed(batch):
            return 2 * factor * function(batch)
        return changed
    return decorate
@objective()
@times(3)
def mine(batch):
    return batch.kl.mean(-1)
"""


@pytest.mark.parametrize(("part", "edited"), [("2 * factor", "5 * factor"), ("(3)", "(4)")])
def test_what_a_decorator_adds_to_an_objective_counts(
    write: Write, settings: MakeSettings, part: str, edited: str
) -> None:
    before = digest_of(write(DECORATED), settings)
    assert digest_of(write(DECORATED + "\n\n# A comment."), settings) == before
    assert digest_of(write(DECORATED.replace(part, edited)), settings) != before


def test_installed_files_are_told_from_ones_own(tmp_path: Path) -> None:
    assert is_installed(Path(torch.__file__))
    assert is_installed(Path(ast.__file__))
    assert not is_installed(tmp_path / "mine.py")
