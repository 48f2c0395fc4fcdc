"""The examples of CONTRIBUTING.md, run as they stand there."""

import __future__

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from tests.conftest import PROJECT
from tests.made_results import made
from tests.packs import MakeSettings
from tests.registries import registries_apart
from tests.unit import test_data, test_likelihoods, test_objectives, test_peers, test_results
from vaebench import likelihoods
from vaebench.data import prepared, registry
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.execution.check_objective import check_objective
from vaebench.experiment import figures
from vaebench.experiment.plugins import load_plugins
from vaebench.likelihoods import LIKELIHOODS, Decoded
from vaebench.objectives import OBJECTIVES, peers

BLOCK = re.compile(r"^```python\n# ([\w/.]+)(?:,[^\n]*)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNS, BATCH, LATENT, PIXELS = 2, 5, 3, 7


def blocks() -> dict[str, str]:
    """The blocks of Python by the file that they go to, which is their first line."""
    text = (PROJECT / "CONTRIBUTING.md").read_text()
    found = dict(BLOCK.findall(text))
    assert len(found) == text.count("```python"), "a block names no file, or two name the same"
    return found


def run_block(file: str, names: dict[str, Any]) -> None:
    """Execute a block with these names of its module, to which it adds its own."""
    flags = __future__.annotations.compiler_flag
    exec(compile(blocks()[file], file, "exec", flags, dont_inherit=True), names)


def run_tests_of(file: str, names: dict[str, Any]) -> None:
    """Execute a block of tests with these names of its module, and call them."""
    run_block(file, names)
    tests = re.findall(r"^def (test_\w+)", blocks()[file], re.MULTILINE)
    assert tests
    for name in tests:
        names[name]()


def run_module(file: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a block that is a whole module under the name that its file would have."""
    name = ".".join(Path(file).with_suffix("").parts[1:])
    module = ModuleType(name)
    run_block(file, vars(module))
    monkeypatch.setitem(sys.modules, name, module)
    return module


def registered(file: str, module: ModuleType) -> tuple[str, Any]:
    """The name and the value of a block that is one line of a registry."""
    ((name, entry),) = eval(f"{{{blocks()[file]}}}", dict(vars(module))).items()
    return name, entry


@contextmanager
def examples_apart() -> Iterator[None]:
    """Registries without the examples, also where someone tries them; afterwards as they were."""
    kept_objectives, kept_likelihoods = dict(OBJECTIVES), dict(LIKELIHOODS)
    OBJECTIVES.pop("free-bits", None)
    LIKELIHOODS.pop("laplace", None)
    try:
        yield
    finally:
        OBJECTIVES.clear()
        OBJECTIVES.update(kept_objectives)
        LIKELIHOODS.clear()
        LIKELIHOODS.update(kept_likelihoods)


@pytest.fixture(autouse=True)
def _apart() -> Iterator[None]:
    with examples_apart():
        yield


def test_the_example_of_an_objective() -> None:
    before = set(OBJECTIVES)
    run_block("src/vaebench/objectives/peers.py", dict(vars(peers)))
    assert set(OBJECTIVES) - before == {"free-bits"}
    run_tests_of("tests/unit/test_peers.py", dict(vars(test_peers)))
    test_objectives.test_runs_do_not_mix()


def test_the_example_of_a_network(
    tmp_path: Path, settings: MakeSettings, digits: prepared.Arrays
) -> None:
    path = tmp_path / "linear_vae.py"
    path.write_text(blocks()["linear_vae.py"])
    with registries_apart():
        load_plugins([path])
        for objective in ("learned", "bilbo", "full"):
            run = settings(
                network="linear", objective=objective, hidden_units=None, hidden_layers=None
            )
            check_objective([run], digits, torch.device("cpu"))


def test_the_example_of_a_likelihood() -> None:
    before = set(LIKELIHOODS)
    run_block("src/vaebench/likelihoods.py", dict(vars(likelihoods)))
    (name,) = set(LIKELIHOODS) - before
    function = LIKELIHOODS[name].log_likelihood
    assert function is not None
    generator = torch.Generator().manual_seed(0)
    x, output = torch.randn(2, RUNS, BATCH, PIXELS, generator=generator)
    values = function(x, Decoded(output, None), width=torch.ones(RUNS, 1, 1))
    assert values.shape == (RUNS, BATCH)
    assert values.isfinite().all()
    run_tests_of("tests/unit/test_likelihoods.py", dict(vars(test_likelihoods)))


def test_the_example_of_a_dataset_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "DATASETS", dict(DATASETS))
    monkeypatch.setattr(prepared, "DATASETS", registry.DATASETS)
    run_block("my_data.py", {"__name__": "my_data"})
    (name,) = registry.DATASETS.keys() - DATASETS.keys()
    prepared.prepare(name, tmp_path, [])
    arrays = prepared.load(tmp_path / "prepared", name)
    assert arrays.train_images.shape == (500, 8, 8)
    assert (arrays.test_images.sum((1, 2), dtype=int) == 255).all()
    assert ((arrays.test_images[:, 4:].max((1, 2)) == 255) == arrays.test_labels).all()
    assert name not in DATASETS


def test_the_example_of_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_module("src/vaebench/data/bars.py", monkeypatch)
    name, entry = registered("src/vaebench/data/registry.py", registry)
    monkeypatch.setitem(registry.DATASETS, name, entry)
    with pytest.raises(UserError, match=rf"not the registered '{entry.digest}'") as error:
        prepared.prepare(name, tmp_path, [])
    (digest,) = re.findall(r"have the digest ([0-9a-f]{64})", str(error.value))
    monkeypatch.setitem(registry.DATASETS, name, replace(entry, digest=digest))
    prepared.prepare(name, tmp_path, [])
    arrays = prepared.load(tmp_path / "prepared", name)
    assert arrays.train_images.shape == (1000, 8, 8)
    assert set(np.unique(arrays.train_images)) == {0, 255}
    assert set(np.unique(arrays.train_labels)) <= set(range(10))
    run_tests_of("tests/unit/test_data.py", dict(vars(test_data)))


def test_the_example_of_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    module = run_module("src/vaebench/figures/rates.py", monkeypatch)
    name, spec = registered("src/vaebench/experiment/figures.py", figures)
    assert module.__name__ == f"vaebench.figures.{name}"
    assert [need.named for need in spec.needs] == ["posterior_variance"]
    names = dict(vars(test_results)) | {name: module, "made": made}
    run_tests_of("tests/unit/test_results.py", names)
    plt.close("all")


def test_the_examples_stay_nowhere() -> None:
    before = ([*OBJECTIVES.items()], [*LIKELIHOODS.items()])
    with examples_apart():
        run_block("src/vaebench/objectives/peers.py", dict(vars(peers)))
        run_block("src/vaebench/likelihoods.py", dict(vars(likelihoods)))
        assert ([*OBJECTIVES.items()], [*LIKELIHOODS.items()]) != before
    assert ([*OBJECTIVES.items()], [*LIKELIHOODS.items()]) == before
