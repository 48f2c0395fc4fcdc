"""The wheel, in an environment that has the base dependencies and nothing of a clone."""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import PROJECT, read_json
from vaebench import __version__
from vaebench.extras import EXTRAS

pytestmark = pytest.mark.wheel

MOST_PACKAGES = 48
TIER = """
tier: mine
experiments:
  - name: scale
    settings: {dataset: digits, likelihood: bernoulli, objective: bilbo, epochs: 1, latent_dim: 2,
               batch_size: 100, learning_rate: 0.001, network: mlp, hidden_units: 20,
               hidden_layers: 1}
    axes: {seed: [0, 1]}
figures: []
"""
OPTIONS = """--dataset digits --objective bilbo --likelihood bernoulli --latent-dim 2 --epochs 1
--batch-size 100 --hidden-units 20 --hidden-layers 1 --device cpu"""


def needed(requirements: list[str]) -> Iterator[str]:
    """The distributions that installing these requirements brings, as they are installed here."""
    todo, seen = [Requirement(text) for text in requirements], set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        marker = requirement.marker
        if name in seen or (marker is not None and not marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        try:
            todo += [Requirement(text) for text in distribution(name).requires or []]
        except PackageNotFoundError:
            continue  # A CPU torch lacks what the marker of a CUDA torch asks for.
        yield name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def base(wheel: Path) -> list[str]:
    """The distributions that the wheel needs without extras."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    return list(needed([x.removeprefix("Requires-Dist: ") for x in lines if "Requires-D" in x]))


@pytest.fixture(scope="module")
def scripts(wheel: Path, base: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the commands of an environment that has the wheel and what it needs.

    What it needs is linked from this environment, so nothing is downloaded. The environment lies in
    a git repository, as that of another project would.
    """
    root = tmp_path_factory.mktemp("environment")
    call(root, "git", "init", "--quiet")
    author = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    done = call(root, "git", *author, "commit", "--quiet", "--allow-empty", "--message", "other")
    assert done.returncode == 0, done.stderr
    venv.create(root, with_pip=True, symlinks=True)
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    done = call(root, root / "bin" / "python", *install, wheel)
    assert done.returncode == 0, done.stderr
    (site,) = root.glob("lib/python*/site-packages")
    for name in base:
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or [] if file.parts[0] != ".."}:
            source = Path(str(found.locate_file(top)))
            if source.exists() and not (site / top).exists() and top != "__pycache__":
                (site / top).symlink_to(source)
    return root / "bin"


def plain_environment() -> dict[str, str]:
    """The variables of this process, without those that would show the clone to Python."""
    dropped = ("PYTHONPATH", "VIRTUAL_ENV", "VAEBENCH_MIRROR")
    return {k: v for k, v in os.environ.items() if k not in dropped}


def call(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=plain_environment()
    )


def test_the_base_is_small(base: list[str]) -> None:
    of_torch = ("nvidia-", "cuda-", "triton")
    assert len([name for name in base if not name.startswith(of_torch)]) <= MOST_PACKAGES


def test_the_environment_has_the_wheel_and_no_extra(scripts: Path, tmp_path: Path) -> None:
    code = (
        "import json, vaebench, importlib.util as u; print(json.dumps([vaebench.__file__,"
        f" [m for m in {sorted(set(sum(EXTRAS.values(), ())))} if u.find_spec(m)]]))"
    )
    done = call(tmp_path, scripts / "python", "-c", code)
    place, extras = json.loads(done.stdout)
    assert Path(place).is_relative_to(scripts.parent)
    assert extras == []


def test_what_the_wheel_holds(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"vaebench/py.typed", "vaebench/page/templates/script/codes.js"} <= names
    assert any(name.startswith("vaebench/attestation/records/") for name in names)
    assert not [n for n in names if not n.startswith(("vaebench/", f"vaebench-{__version__}"))]


def test_train_and_use_a_run(scripts: Path, tmp_path: Path) -> None:
    done = call(tmp_path, scripts / "vaebench", "train", *OPTIONS.split(), "--out", "out")
    assert done.returncode == 0, done.stderr
    record = read_json(tmp_path / "out" / "seed~0" / "metrics.json")
    assert isinstance(worker := record["worker"], dict)
    assert (worker["commit"], worker["dirty"]) == (None, None)
    code = (
        "import vaebench\n"
        "run = vaebench.load_run('out/seed~0')\n"
        "print(run.sample(3, 'aggregated').shape, run.interpolate(*run.sample(2)).shape)\n"
        "print(run.history['elbo'].notna().all())"
    )
    done = call(tmp_path, scripts / "python", "-c", code)
    assert done.stdout.split("\n")[:2] == ["(3, 28, 28) (8, 28, 28)", "True"], done.stderr


def test_a_tier_of_ones_own_in_an_empty_folder(scripts: Path, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(TIER)
    vaebench = scripts / "vaebench"
    for command in (
        "run --tier my.yaml --device cpu",
        "collect --tier my.yaml",
        "table scale --tier results/mine",
        "claims --tier results/mine",
    ):
        done = call(tmp_path, vaebench, *command.split())
        assert done.returncode == 0, done.stderr
    code = (
        "import vaebench\n"
        "results = vaebench.load_results('mine')\n"
        "row = results.runs.iloc[1]\n"
        "run = vaebench.load_run(results.layout.run(row['experiment'], row['folder']))\n"
        "print(len(results.runs), run.settings.seed, run.sample(1).shape)"
    )
    done = call(tmp_path, scripts / "python", "-c", code)
    assert done.stdout == "2 1 (1, 28, 28)\n", done.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("draw fig01 --tier results/mine", "figures"),
        ("report --tier results/mine", "figures"),
        ("classifier digits --tier my.yaml", "quality"),
        ("push", "workflow"),
    ],
)
def test_a_command_that_needs_an_extra_names_it(
    scripts: Path, tmp_path: Path, command: str, extra: str
) -> None:
    (tmp_path / "my.yaml").write_text(TIER)
    done = call(tmp_path, scripts / "vaebench", *command.split())
    assert done.returncode == 2, done.stderr
    assert f"pip install 'vaebench[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
