"""The value of an objective on a whole set, in batches of the training's size.

An objective may compare the examples of a batch with each other, so its value and its memory depend
on the size of the batch. The batches are consecutive images, and their noise is from streams that
are used for nothing else.
"""

from typing import Literal

import torch
from torch import Tensor

from vaebench.core.batch import Clock
from vaebench.core.network import Parameters
from vaebench.core.vae import VAE, blocks, to_pixels
from vaebench.numerics.streams import normal

MOST_IMAGES = 10_000
"""The number of images of a set whose batches are taken."""


def objective_in_batches(
    vae: VAE,
    parameters: Parameters,
    images: Tensor,
    which: Literal["train", "test", "held-out"],
    data_size: int,
) -> Tensor:
    """The mean of the objective over whole batches, at the end of training.

    Args:
        vae: the pack's model.
        parameters: trained, stacked.
        images: levels 0..255, uint8 of shape [N, pixel].
        which: which set it is. It names the random streams.
        data_size: the number of training images.

    Returns:
        The value in nats per example, float64 of shape [run], on the CPU.
    """
    size = min(vae.network.shared.batch_size, len(images))
    whole = min(len(images), max(MOST_IMAGES, size)) // size * size
    clock = Clock(step=1, steps=1, steps_per_epoch=1)
    total = torch.zeros(len(vae.seeds), dtype=torch.float64)
    for number, block in enumerate(blocks(whole, size)):
        stream = f"objective/{which}/{number}"

        def draw(name: str, shape: tuple[int, ...], stream: str = stream) -> Tensor:
            return normal(vae.seeds, "objective", f"{stream}/{name}", shape, images.device)

        count = size * (vae.draws or 1)
        shape = (count, vae.network.latent_dim)
        noise = normal(vae.seeds, "evaluation", stream, shape, images.device)
        x = vae.to_data(to_pixels(images[block]).expand(len(vae.seeds), -1, -1))
        batch = vae.batch(parameters, x, noise, data_size, clock, draw)
        total += vae.value(batch).cpu().double()
    return total / (whole // size)
