"""pythae's trainer on the paper's network, in an environment of its own.

It trains one run, whatever the task says of kind and runs.
"""

import tempfile

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn
from turns import Task, take_turns

BATCH, PIXELS, HIDDEN = 300, 784, 200


def hidden(inputs: int) -> list[nn.Module]:
    """Three hidden layers."""
    sizes = [(inputs, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, HIDDEN)]
    return [layer for a, b in sizes for layer in (nn.Linear(a, b), nn.ReLU())]


class Encoder(BaseEncoder):  # type: ignore[misc]
    """784-200-200-200-n with heads for mean and log-variance."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*hidden(PIXELS))
        self.mean, self.log_variance = nn.Linear(HIDDEN, latent_dim), nn.Linear(HIDDEN, latent_dim)

    def forward(self, x: Tensor) -> ModelOutput:
        """The posterior of a batch."""
        values = self.layers(x.flatten(1))
        return ModelOutput(embedding=self.mean(values), log_covariance=self.log_variance(values))


class Decoder(BaseDecoder):  # type: ignore[misc]
    """n-200-200-200-784 with a sigmoid, as pythae wants it."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        layers = [*hidden(latent_dim), nn.Linear(HIDDEN, PIXELS), nn.Sigmoid()]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> ModelOutput:
        """The reconstruction."""
        return ModelOutput(reconstruction=self.layers(z))


def main() -> None:
    task = Task.told()
    torch.set_num_threads(task.threads)
    torch.manual_seed(0)
    config = VAEConfig(input_dim=(PIXELS,), latent_dim=task.latent_dim, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(task.latent_dim), decoder=Decoder(task.latent_dim))
    with tempfile.TemporaryDirectory() as folder:
        trainer = BaseTrainer(
            model=model,
            train_dataset=BaseDataset(torch.rand(task.images, PIXELS), torch.zeros(task.images)),
            training_config=BaseTrainerConfig(
                output_dir=folder,
                num_epochs=1,
                per_device_train_batch_size=BATCH,
                learning_rate=1e-3,
                no_cuda=task.device != "cuda",
            ),
        )
        trainer.prepare_training()
        take_turns(lambda: trainer.train_step(1))


if __name__ == "__main__":
    main()
