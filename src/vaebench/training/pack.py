"""What trains together, and where its training stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import torch
from torch import Tensor

from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.evaluation.bounds import Evaluation, evaluate
from vaebench.likelihoods import LIKELIHOODS, Likelihood
from vaebench.models import make_network
from vaebench.models.base import Network, Parameters
from vaebench.objectives import OBJECTIVES, Objective
from vaebench.records import HistoryPoint
from vaebench.settings import Settings
from vaebench.training.adam import Moments

STRETCHES = 20
"""Into how many parts a training is divided that is counted in steps."""


@dataclass(frozen=True)
class Pack:
    """Runs that train together, and the data on their device."""

    runs: tuple[Settings, ...]
    network: Network
    objective: Objective
    likelihood: Likelihood
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
            network=make_network(runs, data.train_images.shape[1:], device),
            objective=OBJECTIVES[runs[0].objective],
            likelihood=LIKELIHOODS[runs[0].likelihood],
            train_images=torch.from_numpy(data.train_images).to(device).flatten(1),
            test_images=torch.from_numpy(data.test_images).to(device).flatten(1),
        )

    def only(self, k: int) -> "Pack":
        """The pack of one of its runs, on the same data."""
        runs, device = self.runs[k : k + 1], self.train_images.device
        return replace(
            self, runs=runs, network=make_network(runs, self.network.image_shape, device)
        )

    @property
    def seeds(self) -> list[int]:
        """The seed of each run."""
        return [run.seed for run in self.runs]

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the training set; a remainder waits for another epoch's order."""
        return len(self.train_images) // self.runs[0].batch_size

    @property
    def steps(self) -> int:
        """Optimisation steps of a complete training."""
        first = self.runs[0]
        return first.steps or (first.epochs or 0) * self.steps_per_epoch

    @property
    def stretch(self) -> int:
        """Steps from one evaluation to the next: an epoch, or a twentieth of given steps."""
        given = self.runs[0].steps
        return self.steps_per_epoch if given is None else max(1, given // STRETCHES)

    @property
    def stretches(self) -> int:
        """How many of them a complete training has; the last may be shorter."""
        return ceil(self.steps / self.stretch)

    def evaluate(self, parameters: Parameters, which: str) -> Evaluation:
        """The pack on its `train` or `test` set."""
        return evaluate(
            self.network,
            self.objective,
            self.likelihood,
            parameters,
            self.seeds,
            self.train_images if which == "train" else self.test_images,
            "train" if which == "train" else "test",
        )


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


def begin(pack: Pack) -> TrainingState:
    """The state before the first step."""
    parameters = pack.network.initialise(pack.runs, pack.train_images.device)
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
