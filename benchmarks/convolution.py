"""Steps a second on the paper's CelebA network, against plain loops and the convolutions alone.

All contestants take optimisation steps with batches of 32 images of 64x64 in one process and in
turns, so that ratios hold on a noisy machine. Images are drawn at random: speed does not depend on
what they show. Two ceilings stand beside them: the same convolutions forward and backward with
nothing between, and the rate of arithmetic of one large convolution that suits the machine.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, softplus

from vaebench.data.prepared import Arrays
from vaebench.execution.device import describe_device
from vaebench.experiment.settings import Settings
from vaebench.models.conv import DOWN, SLOPE, UP, same_convolution, same_transposed
from vaebench.training.loop import train
from vaebench.training.pack import Pack, init_state

BATCH, SIDE, LATENT, IMAGES = 32, 64, 16, 1024
ENCODER = (3, *DOWN, 4 * LATENT)
DECODER = (LATENT, *UP)
STEPS = 4
"""Of a timed turn."""


class Down(nn.Module):
    """A convolution of stride 2 with TensorFlow's padding."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 5, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Half the side."""
        result: Tensor = self.convolution(pad(x, (1, 2, 1, 2)))
        return result


class Up(nn.Module):
    """Its transpose."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(inputs, outputs, 5, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Twice the side."""
        result: Tensor = self.convolution(x)[..., :-1, :-1]
        return result


class PlainVAE(nn.Module):
    """The paper's network as one would write it by hand."""

    def __init__(self) -> None:
        super().__init__()
        down = [m for a, b in pairwise(ENCODER) for m in (Down(a, b), nn.LeakyReLU(SLOPE))]
        up = [m for a, b in pairwise(DECODER) for m in (Up(a, b), nn.LeakyReLU(SLOPE))]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(ENCODER[-1], 2 * LATENT))
        self.decoder = nn.Sequential(*up, nn.Conv2d(DECODER[-1], 3, 5, padding=2), nn.Sigmoid())
        self.scale = nn.Parameter(torch.zeros(3, SIDE, SIDE))

    def forward(self, x: Tensor) -> Tensor:
        """The negative ELBO of a batch."""
        mean, raw = self.encoder(2 * x - 1).chunk(2, 1)
        posterior = torch.distributions.Normal(mean, softplus(raw + 0.5413) + 1e-30)
        z = posterior.rsample()
        scale = 1e-2 * softplus(self.scale + 0.5413) + 1e-8
        image = torch.distributions.Normal(self.decoder(z[:, :, None, None]), scale)
        kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
        loss: Tensor = (kl.sum() - image.log_prob(x).sum()) / len(x)
        return loss


def ours(images: Arrays, device: torch.device, precision: str) -> Callable[[], None]:
    """This project's training."""
    run = Settings.model_validate(
        {
            "dataset": "celeba", "network": "conv", "precision": precision, "objective": "learned",
            "likelihood": "gaussian-coordinate", "latent_dim": LATENT, "batch_size": BATCH,
            "learning_rate": 1e-4, "steps": 10**9, "seed": 0,
        }
    )  # fmt: skip
    pack = Pack.of([run], images, device)
    state = init_state(pack)

    def turn() -> None:
        state.step, left = 0, iter(range(STEPS - 1))
        train(pack, state, lambda: next(left, None) is None, lambda _: None)

    return turn


def plain(images: Arrays, device: torch.device, layout: torch.memory_format) -> Callable[[], None]:
    """A plain loop over floats in memory."""
    model = PlainVAE().to(device, memory_format=layout)  # type: ignore[call-overload]
    pixels = torch.from_numpy(images.train_images).to(device).permute(0, 3, 1, 2).float() / 255
    pixels = pixels.contiguous(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def turn() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            model(pixels[torch.randint(len(pixels), (BATCH,), device=device)]).backward()
            optimizer.step()

    return turn


def convolutions_alone(device: torch.device) -> Callable[[], None]:
    """Every convolution of the network forward and backward, on inputs that are there."""

    def tensor(*shape: int) -> Tensor:
        values = torch.randn(*shape, device=device)
        return values.contiguous(memory_format=torch.channels_last).requires_grad_()

    layers: list[tuple[Callable[..., Tensor], list[Tensor]]] = []
    for k, (a, b) in enumerate(pairwise(ENCODER)):
        side = SIDE >> k
        layers.append((same_convolution, [tensor(BATCH, a, side, side), tensor(b, a, 5, 5)]))
    for k, (a, b) in enumerate(pairwise(DECODER)):
        layers.append((same_transposed, [tensor(BATCH, a, 1 << k, 1 << k), tensor(a, b, 5, 5)]))
    last = [tensor(BATCH, DECODER[-1], SIDE, SIDE), tensor(3, DECODER[-1], 5, 5)]
    layers.append((lambda x, w, b: conv2d(x, w, b, padding=2), last))
    biases = [torch.zeros(n, device=device) for n in (*ENCODER[1:], *DECODER[1:], 3)]
    # The images themselves need no gradient.
    layers[0][1][0].requires_grad_(False)

    def turn() -> None:
        for _ in range(STEPS):
            for (function, inputs), bias in zip(layers, biases, strict=True):
                result = function(*inputs, bias)
                wanted = [value for value in inputs if value.requires_grad]
                torch.autograd.grad(result, wanted, result.detach())

    return turn


def large_convolution(device: torch.device) -> tuple[Callable[[], None], float]:
    """One 3x3 convolution of 128 channels, forward and backward, and its arithmetic."""
    shape = (BATCH, 128, 32, 32)
    x, w = torch.randn(*shape, device=device), torch.randn(128, 128, 3, 3, device=device)
    x, w = (v.contiguous(memory_format=torch.channels_last).requires_grad_() for v in (x, w))

    def turn() -> None:
        result = conv2d(x, w, padding=1)
        torch.autograd.grad(result, [x, w], result.detach())

    return turn, 3 * 2 * 9 * 128 * 128 * BATCH * 32 * 32


def arithmetic_of_a_step() -> float:
    """Floating point operations of the convolutions, forward and both gradients."""
    products = [
        25 * a * b * (SIDE >> (k + 1)) ** 2 * (2 if k == 0 else 3)
        for k, (a, b) in enumerate(pairwise(ENCODER))
    ]
    products += [25 * a * b * (1 << k) ** 2 * 3 for k, (a, b) in enumerate(pairwise(DECODER))]
    products.append(25 * DECODER[-1] * 3 * SIDE**2 * 3)
    return 2.0 * BATCH * sum(products)


def table(threads: int, repeats: int, device: torch.device) -> str:
    """Markdown, with a line on the arithmetic of a step."""
    torch.set_num_threads(threads)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    labels = np.zeros(IMAGES, np.uint8)
    images = Arrays(pixels, labels, pixels[:1], labels[:1])

    large, operations = large_convolution(device)
    contestants = {
        "vaebench": ours(images, device, "float32"),
        "vaebench, bfloat16": ours(images, device, "bfloat16"),
        "plain loop": plain(images, device, torch.contiguous_format),
        "plain loop, channels last": plain(images, device, torch.channels_last),
        "convolutions alone": convolutions_alone(device),
        "large convolution": large,
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repeat in range(repeats + 1):
        for name, turn in contestants.items():
            started = time.perf_counter()
            turn()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repeat:  # the first round warms up
                seconds[name].append((time.perf_counter() - started) / STEPS)

    peak = [operations / (STEPS * s) for s in seconds.pop("large convolution")]
    own = arithmetic_of_a_step()
    lines = [
        f"The convolutions of a step are {own / 1e9:.1f} GFLOP. One large convolution makes "
        f"{statistics.median(peak) / 1e9:.0f} GFLOP/s.",
        "",
        "| | steps/s | least | most | × plain loop | of the large rate |",
        "|---|---|---|---|---|---|",
    ]
    reference = seconds["plain loop"]
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(reference, values, strict=True))
        share = statistics.median(own / v / p for v, p in zip(values, peak, strict=True))
        lines.append(
            f"| {name} | {1 / statistics.median(values):.2f} | {1 / max(values):.2f} "
            f"| {1 / min(values):.2f} | {ratio:.2f} | {share:.0%} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = torch.device(options.device)
    print(
        f"{describe_device(device)}, {options.threads} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}, {options.repeats} turns of {STEPS} steps\n"
    )
    print(table(options.threads, options.repeats, device))


if __name__ == "__main__":
    main()
