import json
import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
import torch

from vaebench.data.prepared import Arrays, load, prepare
from vaebench.experiment.settings import Settings
from vaebench.progress import show_log_lines

# What a user has set for own runs is none of the tests' business.
KEPT = ("VAEBENCH_MIRROR", "VAEBENCH_FAULTS", "VAEBENCH_FAULTS_PAGE")
for name in [name for name in os.environ if name.startswith("VAEBENCH_") and name not in KEPT]:
    del os.environ[name]
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"
# One thread, also for commands that tests start: several spin at each other while cores are short.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
show_log_lines()
# Times vary with the machine; no test is about time.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")

PROJECT = Path(__file__).parent.parent
LONG = ("workflow", "wheel", "faults")
"""Marks of files that take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first: a worker that starts one at the end lets the others wait for it."""
    items.sort(key=lambda item: not any(map(item.get_closest_marker, LONG)))


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the embedded datasets prepared."""
    root = tmp_path_factory.mktemp("data")
    for name in ("digits", "faces"):
        prepare(name, root, [])
    return root


@pytest.fixture(scope="session")
def digits(data_root: Path) -> Arrays:
    return load(data_root / "prepared", "digits")


@pytest.fixture
def settings() -> Callable[..., Settings]:
    """Settings of a small run on digits; keyword arguments replace any of them."""

    def make(**changes: object) -> Settings:
        values = {
            "dataset": "digits",
            "likelihood": "bernoulli",
            "objective": "learned",
            "latent_dim": 2,
            "network": "mlp",
            "hidden_units": 16,
            "hidden_layers": 2,
            "batch_size": 100,
            "learning_rate": 0.001,
            "epochs": 2,
            "seed": 0,
        }
        return Settings.model_validate(values | changes)

    return make


def read_json(path: Path) -> dict[str, object]:
    values: dict[str, object] = json.loads(path.read_text())
    return values
