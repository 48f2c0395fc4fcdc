"""This project's training; the kind is the precision."""

import numpy as np
import torch
from turns import Task, Turns

from vaebench.data.prepared import Arrays
from vaebench.settings import Settings
from vaebench.training.device import hold_memory
from vaebench.training.loop import advance
from vaebench.training.pack import Pack, begin


def main() -> None:
    task, device = Task.told(), torch.device(Task.told().device)
    torch.set_num_threads(task.threads)
    settings = [
        Settings.model_validate(
            {
                "dataset": "mnist", "likelihood": "bernoulli", "objective": "learned",
                "latent_dim": task.latent_dim, "network": "mlp", "hidden_units": 200,
                "hidden_layers": 3, "batch_size": 300, "learning_rate": 0.001, "epochs": 10**6,
                "precision": task.kind, "seed": seed,
            }
        )
        for seed in range(task.runs)
    ]  # fmt: skip
    generator = np.random.default_rng(0)
    levels = generator.integers(0, 256, (task.images, 28, 28), dtype=np.uint8)
    labels = np.zeros(task.images, np.uint8)
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
