"""A few epochs on real MNIST with the paper's settings, against bounds known beforehand.

Each band is around the values of five seeds (docs/measurements.md) and several times as wide as
their spread.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from vaebench.data.prepared import prepare
from vaebench.data.registry import DATASETS
from vaebench.execution.session import Resources, Target, train_targets
from vaebench.experiment.settings import Settings
from vaebench.runs.record import RunRecord, read_record

pytestmark = pytest.mark.mnist


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with MNIST, from the mirror or the official hosts."""
    root = tmp_path_factory.mktemp("mnist")
    prepare("mnist", root, [])
    return root


def train(
    mnist: Path, folder: Path, objective: str, latent_dim: int, **others: Any
) -> list[RunRecord]:
    torch.set_num_threads(2)
    targets = [
        Target(
            Settings.model_validate(
                {
                    "dataset": "mnist",
                    "likelihood": "bernoulli",
                    "objective": objective,
                    "latent_dim": latent_dim,
                    "network": "mlp",
                    "hidden_units": 200,
                    "hidden_layers": 3,
                    "batch_size": 300,
                    "learning_rate": 0.001,
                    "epochs": 3,
                    "seed": seed,
                }
                | others
            ),
            folder / str(seed),
            folder / str(seed) / "model.safetensors",
        )
        for seed in (0, 1)
    ]
    resources = Resources(torch.device("cpu"), mnist, folder / "store", save_every=10)
    assert train_targets(f"{objective} n={latent_dim}", targets, resources)
    return [read_record(target.folder / "metrics.json") for target in targets]


@pytest.mark.parametrize(
    ("objective", "latent_dim", "low", "high"),
    [
        ("learned", 2, -169.0, -158.0),
        ("bilbo", 2, -163.0, -153.0),
        ("learned", 100, -147.0, -132.0),
        ("bilbo", 100, -141.0, -127.0),
    ],
)
def test_three_epochs_reach_the_known_bound(
    mnist: Path, tmp_path: Path, objective: str, latent_dim: int, low: float, high: float
) -> None:
    for record in train(mnist, tmp_path, objective, latent_dim):
        test = record.final.test
        assert record.status == "completed"
        assert test.elbo is not None
        assert test.elbo_frozen_prior is not None
        assert low <= test.elbo <= high
        # With 10,000 test images, the prior of the test set gains little over the training set's.
        assert 0 <= test.elbo - test.elbo_frozen_prior < 0.05
        assert record.digests.data == DATASETS["mnist"].digest
    for path in tmp_path.rglob("arrays.npz"):
        assert path.stat().st_size < 200_000


def test_three_epochs_of_baggins_fill_the_information_budget(mnist: Path, tmp_path: Path) -> None:
    """u settles above its optimum tau (m - n) = 156, and the objective is far from collapse."""
    for record in train(mnist, tmp_path, "bilbo", 2, likelihood="baggins", tau=0.2):
        test = record.final.test
        assert record.status == "completed"
        assert test.information is not None
        assert test.mse is not None
        assert 140 < test.information < 240
        assert test.mse < 0.8 * test.mean_image_mse
        assert test.elbo == test.elbo_data_units


# Not resource.getrusage: its peak includes that of the process that started this one.
MEASURED = """
import sys
from vaebench.cli import app
app(sys.argv[1:], standalone_mode=False)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("peak", int(peak.split()[1]) // 1024)
"""


def test_beta_tcvae_stays_within_two_gigabytes(mnist: Path, tmp_path: Path) -> None:
    """It compares all pairs of a batch; with the whole test set as a batch, that is 57.6 GB."""
    arguments = [
        *("train", "--dataset", "mnist", "--objective", "beta-tcvae"),
        *("--latent-dim", "10", "--epochs", "1", "--device", "cpu", "--data", str(mnist)),
        *("--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")),
    ]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True, check=True
    )
    record = read_record(tmp_path / "out" / "seed~0" / "metrics.json")
    assert record.final.test.objective is not None
    peak = int(done.stdout.split("peak ")[1])
    assert peak < 2048, f"{peak} MB"
