"""What counts as a change of the code, and what does not."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from vaebench.experiment.settings import Settings
from vaebench.networks import NETWORKS
from vaebench.runs.canonical import (
    PACKAGE,
    _definition_digest,
    _definition_text,
    _module_digest,
    canonical,
    definition_digest,
    function_digest,
    module_digest,
)
from vaebench.runs.sources import CORE_FOLDERS, QUALITY, core_modules, source_digest

EXEMPT = {
    "data/prepared.py": "the data's own digest is in the run hash",
    "conditioning.py": "names parts of a network; the core has what they compute",
    "errors.py": "no numbers",
    "files.py": "names compiled steps by a digest",
    "progress.py": "says that steps are compiled",
    "experiment/settings.py": "the settings themselves are in the run hash",
    "likelihoods.py": "each run has the digest of its own likelihood",
    "models/make.py": "chooses the network, objective and likelihood that the settings name",
    "objectives/__init__.py": "each run has the digest of its own objective",
    "families.py": "names families; the core has what they compute",
    "data/registry.py": "names datasets; the data's own digest is in the run hash",
    "runs/record.py": "holds numbers, makes none",
}


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("x = 1", "x = 1  # why", True),
        ("x = (1 + 2)", "x = 1+2", True),
        ("def f(x):\n  '''Doc.'''\n  return x", "def f(x):\n    return x", True),
        ("def f(x: int) -> int: return x", "def f(x): return x", True),
        ("class A:\n  x: int\n  '''Doc.'''", "class A:\n  x: int", True),
        ("x: int = 1", "x: float = 1", True),
        ("f('a')", 'f("a")', True),
        ("f(a, b)", "f(\n  a,\n  b,\n)", True),
        ("x = 1", "x = 2", False),
        ("x = 1", "x = 1.0", False),
        ("x = 'a'", "x = b'a'", False),
        ("def f(x): return x", "def f(x): return -x", False),
        ("def f(x, y): return x", "def f(y, x): return x", False),
        ("f(a, b)", "f(b, a)", False),
        ("f(a=1)", "f(b=1)", False),
        ("x = [1, 2]", "x = [2, 1]", False),
        ("if a: b\nelse: c", "if a: c\nelse: b", False),
        ("class A:\n  x: int\n  y: int", "class A:\n  y: int\n  x: int", False),
    ],
)
def test_meaning_counts_and_text_does_not(a: str, b: str, same: bool) -> None:
    assert (canonical(ast.parse(a)) == canonical(ast.parse(b))) == same


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "objectives.py"
    shutil.copy(PACKAGE / "objectives" / "paper.py", path)
    return path


def digests(path: Path) -> dict[str, str]:
    _definition_digest.cache_clear()
    return {name: definition_digest(path, name) for name in ("learned", "constant", "bilbo")}


def changed(path: Path, old: str, new: str) -> set[str]:
    before = digests(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    after = digests(path)
    return {name for name in before if before[name] != after[name]}


def test_adding_an_objective_changes_no_other(module: Path) -> None:
    added = '@objective(posterior="learned", prior="standard")\ndef mine(p, l):\n    return l\n\n\n'
    assert changed(module, "def second_moment", added + "def second_moment") == set()


def test_editing_an_objective_changes_it_alone(module: Path) -> None:
    assert changed(module, "- 0.5 * information", "- 0.6 * information") == {"bilbo"}


@pytest.mark.parametrize(
    ("definition", "edited"),
    [
        ("A = 3", "A = 4"),
        ("A, B = 3, 5", "A, B = 4, 5"),
        ("A = 3\nA += 1", "A = 3\nA += 2"),
        ("if True:\n    A = 3", "if True:\n    A = 4"),
        (
            "try:\n    A = 3\nexcept OSError:\n    A = 4",
            "try:\n    A = 3\nexcept OSError:\n    A = 5",
        ),
        ("def A():\n    return 3", "def A():\n    return 4"),
    ],
)
def test_whatever_an_objective_uses_counts(module: Path, definition: str, edited: str) -> None:
    text = module.read_text().replace("- 0.5 * information", "- A * information")
    module.write_text(text.replace("\n\n@objective", f"\n\n{definition}\n\n\n@objective", 1))
    assert changed(module, definition, edited) == {"bilbo"}


def test_a_helper_of_another_module_counts_with_all_of_it(module: Path) -> None:
    line = "from vaebench.runs.record import finite\n"
    text = module.read_text().replace("- 0.5 * information", "- finite(0.5) * information")
    module.write_text(text)
    assert changed(module, "from typing", line + "from typing") == {"bilbo"}
    imported = _definition_text(ast.parse(line).body[0], PACKAGE)
    assert module_digest(PACKAGE / "runs" / "record.py") in imported


def test_a_function_that_cannot_be_found_is_an_error() -> None:
    with pytest.raises(ValueError, match="missing is not defined at the top of"):
        definition_digest(Path(__file__), "missing")


def test_functions_of_a_factory_have_digests_of_their_values() -> None:
    def factory(value: float) -> Callable[[], float]:
        return lambda: value

    assert function_digest(factory(1.0)) == function_digest(factory(1.0))
    assert function_digest(factory(1.0)) != function_digest(factory(2.0))


def test_the_order_of_imports_does_not_count() -> None:
    a, b = "import a\nfrom b import c\nx = 1", "from b import c\nimport a\nx = 1"
    assert canonical(ast.parse(a)) == canonical(ast.parse(b))


def test_editing_a_shared_function_changes_those_that_call_it(module: Path) -> None:
    assert changed(module, "mean.square().mean(-2", "mean.abs().mean(-2") == {"constant", "bilbo"}


def test_editing_the_registration_changes_its_objective(module: Path) -> None:
    old = '@objective(posterior="constant", prior="floating", on_whole_set=True)\ndef bilbo'
    assert changed(module, old, old.replace("floating", "standard")) == {"bilbo"}


def test_comments_docstrings_and_the_registry_change_nothing(module: Path) -> None:
    assert changed(module, '"""Eq. 24,', '"""Equation 24,') == set()
    assert changed(module, "\n\n@objective", "\n\n# A comment.\n@objective") == set()
    declared = '@objective(parameters={"beta": 1.0}, posterior="constant"'
    assert changed(module, '@objective(posterior="constant"', declared) == set()


def test_editing_a_network_changes_its_runs_alone(
    tmp_path: Path, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    conv = settings(network="conv", hidden_units=None, hidden_layers=None)
    shutil.copytree(PACKAGE, tmp_path / "vaebench")
    monkeypatch.setattr("vaebench.runs.sources.PACKAGE", tmp_path / "vaebench")
    before = {run.network: source_digest(run) for run in (settings(), conv)}
    path = tmp_path / "vaebench" / "models" / "conv.py"
    path.write_text(path.read_text().replace("SLOPE = 0.2", "SLOPE = 0.3"))
    _module_digest.cache_clear()
    assert source_digest(settings()) == before["mlp"]
    assert source_digest(conv) != before["conv"]
    _module_digest.cache_clear()


def test_every_module_that_training_imports_is_core_or_exempt_for_a_reason() -> None:
    """What the loop and the arrays are made with, followed through their imports."""
    core, networks = core_modules(), [f"models/{name}.py" for name in NETWORKS]
    queue, seen = [*core, *networks], set()
    while queue:
        file = queue.pop()
        if file in seen:
            continue
        seen.add(file)
        if file in EXEMPT:
            continue
        for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vaebench"):
                parts = str(node.module).split(".")[1:]
                path = PACKAGE.joinpath(*parts)
                found = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
                queue.append(found.relative_to(PACKAGE).as_posix())
    assert seen - set(core) - set(networks) == set(EXEMPT)
    # A network takes nothing from another, so that its own module is all that its runs depend on.
    for file in networks:
        assert not re.search(
            rf"vaebench.models.({'|'.join(NETWORKS)})", (PACKAGE / file).read_text()
        )
    assert set(core) <= seen


def test_core_modules_exist() -> None:
    files = core_modules()
    assert {file.split("/")[0] for file in files} == set(CORE_FOLDERS)
    for file in [*files, *QUALITY]:
        assert module_digest(PACKAGE / file)


@pytest.mark.parametrize("folder", CORE_FOLDERS)
def test_every_module_of_the_core_counts(
    tmp_path: Path,
    settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
) -> None:
    shutil.copytree(PACKAGE, tmp_path / "vaebench")
    monkeypatch.setattr("vaebench.runs.sources.PACKAGE", tmp_path / "vaebench")
    before = source_digest(settings())
    for file in [file for file in core_modules() if file.startswith(f"{folder}/")]:
        path = tmp_path / "vaebench" / file
        text = path.read_text()
        path.write_text(text + "\nUNUSED = 1\n")
        _module_digest.cache_clear()
        assert source_digest(settings()) != before, file
        path.write_text(text)
    (tmp_path / "vaebench" / folder / "new.py").write_text("X = 1\n")
    _module_digest.cache_clear()
    assert source_digest(settings()) != before
    _module_digest.cache_clear()


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_digests_are_the_same_in_other_versions_of_python(version: str) -> None:
    other = _find_python(version)
    if other is None:
        pytest.skip(f"no Python {version} on this machine to compare with")
    files, path = sorted(PACKAGE.rglob("*.py")), PACKAGE / "runs" / "canonical.py"
    script = (
        "import ast, sys, types\n"
        "for name in ('vaebench', 'vaebench.files', 'vaebench.local_imports'):\n"
        "    sys.modules[name] = m = types.ModuleType(name)\n"
        "    m.digest_bytes = m.digest_file = None\n"
        "    m.Stamp = m.imported_by = m.is_installed = m.stamp = m.with_imported = None\n"
        f"code = compile(open({str(path)!r}).read(), 'canonical.py', 'exec')\n"
        f"names = {{'__file__': {str(path)!r}, '__name__': 'canonical'}}\n"
        "exec(code, names)\n"
        "for file in sys.argv[1:]:\n"
        "    print(names['canonical'](ast.parse(open(file).read())))\n"
    )
    done = subprocess.run(
        [other, "-c", script, *map(str, files)], capture_output=True, text=True, check=True
    )
    here = [canonical(ast.parse(file.read_text())) for file in files]
    assert done.stdout.splitlines() == here


def _find_python(version: str) -> str | None:
    candidates = [shutil.which(f"python{version}")]
    candidates += sorted(
        map(str, (Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"))
    )
    for candidate in candidates:
        if candidate and candidate != sys.executable:
            probe = subprocess.run([candidate, "-c", ""], capture_output=True)
            if probe.returncode == 0:
                return candidate
    return None


def test_no_module_is_too_long() -> None:
    long = {
        path.name: count
        for path in PROJECT.joinpath("src").rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 400
    }
    assert not long, long
