import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest

from tests.conftest import PROJECT
from vaebench import extras
from vaebench.errors import UserError
from vaebench.runs.canonical import PACKAGE

DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
PLACES = {
    "altair": ["page"],
    "vl_convert": ["page"],
    "matplotlib": ["figures"],
    "seaborn": ["figures"],
    "prdc": ["quality"],
    "torchmetrics": ["quality"],
    "mlflow": ["execution"],
    "wandb": ["execution"],
}
"""The folders that may import an optional module. What opens them calls `require` before."""


def distributions(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=]", requirement)[0] for requirement in requirements}


def test_what_is_imported_is_declared() -> None:
    base, known = distributions(DECLARED["dependencies"]), packages_distributions()
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name in ("worker.py", "former_api.py"):
            continue  # a program of its own, which drives sources of any version
        folder = path.relative_to(PACKAGE).parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else names
            for module in {name.split(".")[0] for name in names} - {"vaebench"}:
                provided = module in sys.stdlib_module_names or base & {
                    name.lower().replace("_", "-") for name in known.get(module, [])
                }
                if not provided and folder not in PLACES.get(module, []):
                    wrong.append(f"{path.relative_to(PACKAGE)}: {module}")
    assert not wrong, wrong


def test_the_extras_are_those_of_pyproject() -> None:
    known, declared = packages_distributions(), DECLARED["optional-dependencies"]
    for extra, modules in extras.EXTRAS.items():
        brought = distributions(declared[extra])
        if "vaebench[figures,quality]" in declared[extra]:
            brought |= distributions(declared["figures"] + declared["quality"])
        for module in modules:
            assert brought & set(known[module]), f"{extra} does not bring {module}"


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    extras.require("workflow")
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "dvc" else name)
    extras.require("figures")
    with pytest.raises(UserError, match=r"^this needs dvc, .* pip install 'vaebench\[workflow\]'$"):
        extras.require("workflow")


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        ("draw fig01 --tier nowhere", "seaborn", "figures"),
        ("report --tier nowhere", "altair", "figures"),
        ("evaluate --tier config/smoke.yaml --experiment posterior_variance", "prdc", "quality"),
        ("push", "dvc", "workflow"),
        ("pull", "dvc", "workflow"),
    ],
)
def test_commands_say_what_is_missing_before_any_work(
    command: str, module: str, extra: str
) -> None:
    script = (
        f"import sys; sys.modules['{module}'] = None\n"
        "from vaebench.cli import main\n"
        f"sys.argv[1:] = {command.split()!r}\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert f"{module}, not installed here" in done.stderr
    assert f"pip install 'vaebench[{extra}]'" in done.stderr
