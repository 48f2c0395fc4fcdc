"""The matrix products of a training step alone: what no training can be faster than.

Kinds: `batched` is one product for all runs, `separate` one for each, `onednn` likewise by oneDNN,
and `large` does arithmetic of the same amount in products of 2,048 x 2,048, by the faster library.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor
from turns import Task, take_turns

from vaebench.numerics.kernels import has_onednn, product

BATCH, SIDE = 300, 2048
Product = Callable[[Tensor, Tensor], object]


def layers(latent_dim: int) -> list[tuple[int, int]]:
    """Inputs and outputs of every dense layer; both heads of the encoder as one."""
    encoder = [784, 200, 200, 200, 2 * latent_dim]
    return [*pairwise(encoder), *pairwise([latent_dim, 200, 200, 200, 784])]


def operands(latent_dim: int, runs: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """The factors of all products of a step: forward, and the gradients of both factors."""

    def draw(*shape: int) -> Tensor:
        return torch.randn(runs, *shape, device=device)

    pairs = []
    for k, (inputs, outputs) in enumerate(layers(latent_dim)):
        values, weight, gradient = draw(BATCH, inputs), draw(inputs, outputs), draw(BATCH, outputs)
        pairs += [(values, weight), (values.mT, gradient)]
        if k:  # the data have no gradient
            pairs.append((gradient, weight.mT))
    return pairs


def arithmetic(latent_dim: int) -> float:
    """Floating point operations of a step of one run."""
    return sum(
        2.0 * BATCH * inputs * outputs * (3 if k else 2)
        for k, (inputs, outputs) in enumerate(layers(latent_dim))
    )


def separate(left: Tensor, right: Tensor) -> list[Tensor]:
    return [a @ b for a, b in zip(left.unbind(), right.unbind(), strict=True)]


def by_onednn(left: Tensor, right: Tensor) -> list[Tensor]:
    return [
        product(a, b.mT, None, "none") for a, b in zip(left.unbind(), right.unbind(), strict=True)
    ]


def main() -> None:
    task, device = Task.told(), torch.device(Task.told().device)
    torch.set_num_threads(task.threads)
    steps = task.images // BATCH
    if task.kind == "large":
        square = torch.randn(SIDE, SIDE, device=device)
        count = max(1, round(steps * task.runs * arithmetic(task.latent_dim) / (2.0 * SIDE**3)))
        by_library = device.type == "cpu" and has_onednn()

        def work() -> None:
            for _ in range(count):
                if by_library:
                    by_onednn(square[None], square[None])
                else:
                    torch.mm(square, square)
    else:
        products: dict[str, Product] = {
            "batched": torch.bmm, "separate": separate, "onednn": by_onednn,
        }  # fmt: skip
        multiply, pairs = products[task.kind], operands(task.latent_dim, task.runs, device)
        if task.kind == "onednn":
            # oneDNN would copy a left factor that lies transposed; without that, these are faster.
            pairs = [(a.contiguous(), b) for a, b in pairs]

        def work() -> None:
            for _ in range(steps):
                for left, right in pairs:
                    multiply(left, right)

    take_turns(work, torch.cuda.synchronize if device.type == "cuda" else lambda: None)


if __name__ == "__main__":
    main()
