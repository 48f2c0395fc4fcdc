"""What saved states and digests cost, as a share of training time at the paper's settings.

Needs prepared MNIST (`vaebench data mnist`). Prints, for n = 2 and 100 and a pack of five seeds:
seconds of an epoch, of one saved state (hashed, written, on the disk, read back) and of the digests
at start and end, and the share that they take of a training of 200 epochs with a state every ten.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import torch
from safetensors.torch import save

from vaebench.data import prepared
from vaebench.execution.checkpoint import checkpoint_key, save_checkpoint
from vaebench.experiment.settings import Settings
from vaebench.files import digest_bytes
from vaebench.paths import DATA
from vaebench.training.loop import train
from vaebench.training.pack import Pack, TrainingState, init_state

EPOCHS, SAVE_EVERY, REPEATS = 200, 10, 5


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def one_epoch(pack: Pack, state: TrainingState) -> None:
    """Steps and evaluation, as in training."""
    asked = count(1)  # after each step
    train(pack, state, lambda: next(asked) >= pack.steps_per_epoch, lambda _: None)


def share_of(latent_dim: int) -> None:
    runs = [
        Settings.model_validate(
            {
                "dataset": "mnist", "likelihood": "bernoulli", "objective": "bilbo",
                "posterior_std": 1.0, "latent_dim": latent_dim, "epochs": EPOCHS, "seed": seed,
                "batch_size": 300, "learning_rate": 0.001, "network": "mlp", "hidden_units": 200,
                "hidden_layers": 3,
            }
        )
        for seed in range(5)
    ]  # fmt: skip
    data = prepared.load(DATA / "prepared", "mnist")
    checking = seconds(lambda: prepared.digest(data))
    pack = Pack.of(runs, data, torch.device("cpu"))
    state = init_state(pack)
    key = checkpoint_key(pack, prepared.digest(data))
    one_epoch(pack, state)
    epochs, saves = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.state"
        for _ in range(REPEATS):
            epochs.append(seconds(lambda: one_epoch(pack, state)))
            saves.append(seconds(lambda: save_checkpoint(path, key, state)))
        size = path.stat().st_size / 1e6
    weights = save({name: stack.detach() for name, stack in state.parameters.items()})
    at_end = seconds(lambda: digest_bytes(weights))
    epoch, saving = statistics.median(epochs), statistics.median(saves)
    total = EPOCHS // SAVE_EVERY * saving + checking + at_end
    print(
        f"n = {latent_dim}: epoch {epoch:.2f} s, state of {size:.0f} MB {saving:.3f} s "
        f"({min(saves):.3f} to {max(saves):.3f}), digests {checking + at_end:.2f} s; "
        f"share of training {total / (EPOCHS * epoch):.2%}"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for latent_dim in (2, 100):
        share_of(latent_dim)
