"""Time of a training epoch: runs packed as stacked tensors against loops that people write.

All contestants train the paper's MNIST network (n = 2, batch 300, `learned`) on random grey
images of MNIST's size, in one process and in turns, so that ratios hold on a noisy machine. Times
are seconds of one epoch of 60,000 images for each run, optimisation alone.
"""

import argparse
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus
from torch.utils.data import DataLoader, TensorDataset

from vaebench.data.prepared import Arrays, Bytes
from vaebench.data.torchvision_import import torchvision_mnist
from vaebench.settings import Settings
from vaebench.training.device import describe_device, hold_memory
from vaebench.training.loop import advance
from vaebench.training.pack import Pack, begin

BATCH, PIXELS, HIDDEN = 300, 784, 200
FULL_EPOCH = 60_000


class PlainVAE(nn.Module):
    """The paper's network as a tutorial would write it."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*self._hidden(PIXELS))
        self.mean, self.std = nn.Linear(HIDDEN, latent_dim), nn.Linear(HIDDEN, latent_dim)
        self.decoder = nn.Sequential(*self._hidden(latent_dim), nn.Linear(HIDDEN, PIXELS))

    @staticmethod
    def _hidden(inputs: int) -> list[nn.Module]:
        sizes = [inputs, HIDDEN, HIDDEN, HIDDEN]
        return [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]

    def forward(self, x: Tensor) -> Tensor:
        """The negative ELBO of a batch."""
        hidden = self.encoder(x)
        mean, std = self.mean(hidden), softplus(self.std(hidden))
        logits = self.decoder(mean + std * torch.randn_like(std))
        reconstruction = binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = 0.5 * (mean**2 + std**2 - 1 - 2 * std.log()).sum()
        loss: Tensor = (reconstruction + kl) / len(x)
        return loss


def packed(images: Arrays, runs: int, latent_dim: int, device: torch.device) -> Callable[[], None]:
    """One epoch of this project's training with that many runs together."""
    settings = [
        Settings(
            dataset="mnist",
            likelihood="bernoulli",
            objective="learned",
            latent_dim=latent_dim,
            network="mlp",
            hidden_units=HIDDEN,
            hidden_layers=3,
            batch_size=BATCH,
            learning_rate=0.001,
            epochs=1,
            seed=seed,
        )
        for seed in range(runs)
    ]
    hold_memory()
    pack = Pack.of(settings, images, device)
    # History is recorded with an evaluation; without test images it costs nothing worth naming.
    state = begin(pack)

    def epoch() -> None:
        state.step = 0
        advance(pack, state, lambda: False, lambda _: None)

    return epoch


Batches = Callable[[], Iterable[Tensor]]


def plain(latent_dim: int, device: torch.device, batches: Batches) -> Callable[[], None]:
    """One epoch of a plain loop."""
    model = PlainVAE(latent_dim).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def epoch() -> None:
        for batch in batches():
            optimizer.zero_grad()
            model(batch.to(device).flatten(1)).backward()
            optimizer.step()

    return epoch


def torchvision_batches(images: Bytes) -> Batches:
    """A DataLoader over torchvision's MNIST with ToTensor, as its tutorials have it."""
    module = torchvision_mnist()
    transforms = import_module("torchvision.transforms")

    class Generated(module.MNIST):  # type: ignore[misc, name-defined]
        """torchvision's dataset and its __getitem__, on generated images."""

        def __init__(self) -> None:
            self.data, self.targets = torch.from_numpy(images), torch.zeros(len(images))
            self.transform, self.target_transform = transforms.ToTensor(), None

    loader: DataLoader[Any] = DataLoader(Generated(), BATCH, shuffle=True, drop_last=True)
    return lambda: (x for x, _ in loader)


def tensor_batches(images: Bytes) -> Batches:
    """A DataLoader over a tensor of floats."""
    pixels = torch.from_numpy(images).flatten(1).float() / 255
    loader = DataLoader(TensorDataset(pixels), BATCH, shuffle=True, drop_last=True)
    return lambda: (rows[0] for rows in loader)


def indexed_batches(images: Bytes, device: torch.device) -> Batches:
    """Rows of a tensor of floats that lies on the device."""
    pixels = (torch.from_numpy(images).flatten(1).float() / 255).to(device)

    def batches() -> Iterable[Tensor]:
        order = torch.randperm(len(pixels), device=device)
        return (pixels[rows] for rows in order.split(BATCH) if len(rows) == BATCH)

    return batches


def pythae(python: str, sizes: tuple[int, ...]) -> Callable[[], None]:
    """One epoch of pythae's trainer, in a process of another environment that waits in between."""
    worker = subprocess.Popen(
        [python, str(Path(__file__).with_name("pythae_worker.py")), *map(str, sizes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    orders, answers = worker.stdin, worker.stdout

    def epoch() -> None:
        orders.write("epoch\n")
        orders.flush()
        if not answers.readline():
            raise SystemExit(f"pythae's worker ended: run {worker.args!r} by hand to see why")

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 5], help="runs in a pack")
    parser.add_argument("--latent-dim", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--images", type=int, default=15_000, help="images of a timed epoch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pythae", metavar="PYTHON", help="a Python that has pythae and torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (options.images, 28, 28), dtype=np.uint8)
    images = Arrays(pixels, pixels[:, 0, 0], pixels[:1], pixels[:1, 0, 0])

    contestants: dict[str, tuple[int, Callable[[], None]]] = {
        f"vaebench, {runs} packed": (runs, packed(images, runs, options.latent_dim, device))
        for runs in options.runs
    }
    loops = {
        "plain, torchvision's MNIST": torchvision_batches(pixels),
        "plain, DataLoader on floats": tensor_batches(pixels),
        "plain, floats on the device": indexed_batches(pixels, device),
    }
    for name, batches in loops.items():
        contestants[name] = (1, plain(options.latent_dim, device, batches))

    if options.pythae:
        sizes = (options.images, BATCH, options.latent_dim, options.threads)
        contestants["pythae's trainer"] = (1, pythae(options.pythae, sizes))

    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repeat in range(options.repeats + 1):
        for name, (runs, epoch) in contestants.items():
            if device.type == "cuda":
                torch.cuda.synchronize()
            started = time.perf_counter()
            epoch()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repeat:  # the first round warms up
                scale = FULL_EPOCH / options.images / runs
                seconds[name].append((time.perf_counter() - started) * scale)

    print(
        f"{describe_device(device)}, {options.threads} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}, n = {options.latent_dim}"
    )
    print(f"{'seconds an epoch and run':28} {'median':>7} {'min':>7} {'max':>7}   plain / this")
    reference = seconds["plain, torchvision's MNIST"]
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(reference, values, strict=True))
        print(
            f"{name:28} {statistics.median(values):7.2f} {min(values):7.2f} {max(values):7.2f}"
            f"   {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
