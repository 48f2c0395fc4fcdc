"""What trains together, and where its training stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Literal

import torch
from torch import Tensor

from vaebench.core.adam import Moments
from vaebench.core.network import Parameters
from vaebench.core.vae import VAE
from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.evaluation.elbo import Evaluation, evaluate
from vaebench.experiment.settings import Settings
from vaebench.models.make import make_vae
from vaebench.runs.record import HistoryPoint

INTERVALS = 20
"""How often a training that is counted in steps is evaluated."""


@dataclass(frozen=True)
class Pack:
    """Runs that train together, and the data on their device."""

    runs: tuple[Settings, ...]
    vae: VAE
    train_images: Tensor
    """Levels 0..255, uint8 of shape [N, pixel]; on CPUs the mapped file itself."""
    test_images: Tensor

    @staticmethod
    def of(runs: Sequence[Settings], data: Arrays, device: torch.device) -> "Pack":
        """Bring the data of a pack to its device, and the process to its precision.

        Raises:
            UserError: the device does not have the precision, or the network does not fit the data.
        """
        _set_precision(device, runs[0].precision)
        return Pack(
            runs=tuple(runs),
            vae=make_vae(runs, data.train_images.shape[1:], device),
            train_images=torch.from_numpy(data.train_images).to(device).flatten(1),
            test_images=torch.from_numpy(data.test_images).to(device).flatten(1),
        )

    def only(self, k: int) -> "Pack":
        """The pack of one of its runs, on the same data."""
        runs, device = self.runs[k : k + 1], self.train_images.device
        return replace(self, runs=runs, vae=make_vae(runs, self.vae.network.image_shape, device))

    @property
    def shared(self) -> Settings:
        """The settings of the first run. The other runs have the same but for the packed axes."""
        return self.runs[0]

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the training set; a remainder waits for another epoch's order."""
        return len(self.train_images) // self.shared.batch_size

    @property
    def steps(self) -> int:
        """Optimisation steps of a complete training."""
        return self.shared.steps or (self.shared.epochs or 0) * self.steps_per_epoch

    @property
    def eval_interval(self) -> int:
        """Steps from one evaluation to the next: an epoch, or a twentieth of given steps."""
        given = self.shared.steps
        return self.steps_per_epoch if given is None else max(1, given // INTERVALS)

    @property
    def evaluations(self) -> int:
        """How many evaluations a complete training has. The last interval may be shorter."""
        return ceil(self.steps / self.eval_interval)

    def evaluate(self, parameters: Parameters, which: Literal["train", "test"]) -> Evaluation:
        """Evaluate the pack on its training or its test set."""
        images = {"train": self.train_images, "test": self.test_images}[which]
        return evaluate(self.vae, parameters, images, which)


@dataclass
class TrainingState:
    """All that training has come to; with the pack's settings, all that continuing it needs."""

    parameters: Parameters
    moments: Moments
    step: int = 0
    """Optimisation steps done, of `Pack.steps`."""
    seconds: float = 0.0
    """Time spent in optimisation steps, evaluation left out."""
    diverged: list[int | None] = field(default_factory=list)
    """The step (from 1) at which each run's loss became non-finite."""
    history: list[list[HistoryPoint]] = field(default_factory=list)
    """Test bounds of each run."""

    def only(self, k: int) -> "TrainingState":
        """One of its runs: training that changes this one in place but for its counters."""
        parameters = {
            name: tensor.detach()[k : k + 1].requires_grad_()
            for name, tensor in self.parameters.items()
        }
        first, second = (
            [tensor[k : k + 1] for tensor in moments]
            for moments in (self.moments.first, self.moments.second)
        )
        return TrainingState(parameters, Moments(first, second, self.moments.step.clone()))


def init_state(pack: Pack) -> TrainingState:
    """The state before the first step."""
    parameters = pack.vae.network.initialise(pack.runs, pack.train_images.device)
    for tensor in parameters.values():
        tensor.requires_grad_()
    count = len(pack.runs)
    return TrainingState(
        parameters,
        Moments.zero(list(parameters.values())),
        diverged=[None] * count,
        history=[[] for _ in range(count)],
    )


def _set_precision(device: torch.device, precision: str) -> None:
    """Whether a GPU may round the inputs of products to TF32, from here on in this process.

    Raises:
        UserError: it is asked for where there is no CUDA GPU.
    """
    reduced = precision == "tf32"
    if reduced and device.type != "cuda":
        raise UserError(f"precision tf32 needs a CUDA GPU, and this is {device.type}: use float32")
    torch.backends.cuda.matmul.allow_tf32 = reduced
    torch.backends.cudnn.allow_tf32 = reduced
