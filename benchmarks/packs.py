"""What is timed: packs of the paper's MNIST network on random images of MNIST's size."""

import numpy as np
import torch

from vaebench.data.prepared import Arrays
from vaebench.experiment.settings import Settings
from vaebench.training.pack import Pack

CPU = torch.device("cpu")


def pack_of(
    latent_dim: int,
    runs: int,
    objective: str = "learned",
    device: torch.device = CPU,
    images: int = 6000,
    tested: int = 1000,
    precision: str = "float32",
) -> Pack:
    """A pack that is trained without end.

    Args:
        latent_dim: of its runs.
        runs: how many.
        objective: of its runs.
        device: where it is trained.
        images: for training; speed does not depend on what they show.
        tested: how many of them are the test set.
        precision: of the layers.
    """
    settings = [
        Settings.model_validate(
            {
                "dataset": "mnist", "likelihood": "bernoulli", "objective": objective,
                "latent_dim": latent_dim, "network": "mlp", "hidden_units": 200,
                "hidden_layers": 3, "batch_size": 300, "learning_rate": 0.001, "epochs": 10**6,
                "precision": precision, "seed": seed,
            }
        )
        for seed in range(runs)
    ]  # fmt: skip
    levels = np.random.default_rng(0).integers(0, 256, (images, 28, 28), dtype=np.uint8)
    labels = np.zeros(images, np.uint8)
    return Pack.of(settings, Arrays(levels, labels, levels[:tested], labels[:tested]), device)
