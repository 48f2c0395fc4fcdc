"""The paper's MNIST network as tutorials write it, and loops over it.

Kinds: dataloader, memory, vmap.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import binary_cross_entropy_with_logits, softplus
from torch.utils.data import DataLoader
from turns import Task, take_turns

from vaebench.data.torchvision_import import torchvision_mnist

BATCH, PIXELS, HIDDEN = 300, 784, 200


class PlainVAE(nn.Module):
    """784-200-200-200-n and back, with the ELBO of Bernoulli pixels."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*self._hidden(PIXELS))
        self.mean, self.std = nn.Linear(HIDDEN, latent_dim), nn.Linear(HIDDEN, latent_dim)
        self.decoder = nn.Sequential(*self._hidden(latent_dim), nn.Linear(HIDDEN, PIXELS))

    @staticmethod
    def _hidden(inputs: int) -> list[nn.Module]:
        sizes = [inputs, HIDDEN, HIDDEN, HIDDEN]
        return [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """The negative ELBO of a batch."""
        hidden = self.encoder(x)
        mean, std = self.mean(hidden), softplus(self.std(hidden))
        logits = self.decoder(mean + std * (torch.randn_like(std) if noise is None else noise))
        reconstruction = binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = 0.5 * (mean**2 + std**2 - 1 - 2 * std.log()).sum()
        loss: Tensor = (reconstruction + kl) / len(x)
        return loss


def loop(
    latent_dim: int, device: torch.device, batches: Callable[[], Iterable[Tensor]]
) -> Callable[[], None]:
    """One epoch of a plain loop."""
    model = PlainVAE(latent_dim).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def epoch() -> None:
        for batch in batches():
            optimizer.zero_grad()
            model(batch.to(device).flatten(1)).backward()
            optimizer.step()

    return epoch


def from_dataloader(levels: Tensor) -> Callable[[], Iterable[Tensor]]:
    """A DataLoader over torchvision's MNIST with ToTensor, as its tutorials have it."""
    module = torchvision_mnist()
    transforms = import_module("torchvision.transforms")

    class Generated(module.MNIST):  # type: ignore[misc, name-defined]
        """torchvision's dataset and its __getitem__, on generated images."""

        def __init__(self) -> None:
            self.data, self.targets = levels.view(-1, 28, 28), torch.zeros(len(levels))
            self.transform, self.target_transform = transforms.ToTensor(), None

    loader: DataLoader[Any] = DataLoader(Generated(), BATCH, shuffle=True, drop_last=True)
    return lambda: (x for x, _ in loader)


def from_memory(levels: Tensor, device: torch.device) -> Callable[[], Iterable[Tensor]]:
    """Rows of a tensor of floats that lies on the device."""
    pixels = (levels.float() / 255).to(device)

    def batches() -> Iterable[Tensor]:
        order = torch.randperm(len(pixels), device=device)
        return (pixels[rows] for rows in order.split(BATCH) if len(rows) == BATCH)

    return batches


def mapped(latent_dim: int, runs: int, levels: Tensor, device: torch.device) -> Callable[[], None]:
    """One epoch of `torch.func.vmap` over stacked modules, with data in memory."""
    models = [PlainVAE(latent_dim).to(device) for _ in range(runs)]
    parameters, _ = stack_module_state(models)
    stacked = {k: v.detach().requires_grad_() for k, v in parameters.items()}
    optimizer = torch.optim.Adam(list(stacked.values()), lr=1e-3, fused=True)
    pixels = (levels.float() / 255).to(device)

    def loss(own: dict[str, Tensor], x: Tensor, noise: Tensor) -> Tensor:
        result: Tensor = functional_call(models[0], own, (x, noise))
        return result

    gradients = vmap(grad(loss))

    def epoch() -> None:
        orders = torch.stack([torch.randperm(len(pixels), device=device) for _ in range(runs)])
        for k in range(len(pixels) // BATCH):
            x = pixels[orders[:, k * BATCH : (k + 1) * BATCH]]
            noise = torch.randn(runs, BATCH, latent_dim, device=device)
            for name, value in gradients(stacked, x, noise).items():
                stacked[name].grad = value
            optimizer.step()

    return epoch


def main() -> None:
    task, device = Task.told(), torch.device(Task.told().device)
    torch.set_num_threads(task.threads)
    levels = torch.randint(0, 256, (task.images, PIXELS), dtype=torch.uint8)
    if task.kind == "vmap":
        epoch = mapped(task.latent_dim, task.runs, levels, device)
    elif task.kind == "dataloader":
        epoch = loop(task.latent_dim, device, from_dataloader(levels))
    else:
        epoch = loop(task.latent_dim, device, from_memory(levels, device))

    take_turns(epoch, torch.cuda.synchronize if device.type == "cuda" else lambda: None)


if __name__ == "__main__":
    main()
