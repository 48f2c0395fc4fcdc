"""This project's training.

Arguments: precision, latent dimension, runs, threads, images, device.
"""

import sys

import numpy as np
import torch
from turns import Turns

from vaebench.data.prepared import Arrays
from vaebench.settings import Settings
from vaebench.training.device import hold_memory
from vaebench.training.loop import advance
from vaebench.training.pack import Pack, begin


def main() -> None:
    latent_dim, runs, threads, images = map(int, sys.argv[2:6])
    device = torch.device(sys.argv[6])
    torch.set_num_threads(threads)
    settings = [
        Settings.model_validate(
            {
                "dataset": "mnist", "likelihood": "bernoulli", "objective": "learned",
                "latent_dim": latent_dim, "network": "mlp", "hidden_units": 200,
                "hidden_layers": 3, "batch_size": 300, "learning_rate": 0.001, "epochs": 10**6,
                "precision": sys.argv[1], "seed": seed,
            }
        )
        for seed in range(runs)
    ]  # fmt: skip
    generator = np.random.default_rng(0)
    levels = generator.integers(0, 256, (images, 28, 28), dtype=np.uint8)
    labels = np.zeros(images, np.uint8)
    hold_memory()
    # History is recorded with an evaluation; of one test image it costs nothing worth naming.
    pack = Pack.of(settings, Arrays(levels, labels, levels[:1], labels[:1]), device)
    turns = Turns()

    def after_epoch(_: int) -> None:
        turns.end()
        turns.begin()

    turns.begin()
    advance(pack, begin(pack), lambda: False, after_epoch)


if __name__ == "__main__":
    main()
