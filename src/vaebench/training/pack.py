"""A pack, which is a set of runs that are trained together, and the state of its training."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Literal

import torch
from torch import Tensor

from vaebench.core.network import Parameters
from vaebench.core.vae import VAE, to_pixels
from vaebench.data.prepared import Arrays
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.evaluation.elbo import Evaluation, evaluate
from vaebench.experiment.settings import Settings
from vaebench.models.make import make_vae
from vaebench.numerics.adam import Moments
from vaebench.numerics.streams import bernoulli
from vaebench.numerics.weight_decay import WEIGHT, decaying
from vaebench.runs.record import HistoryPoint
from vaebench.training.held_out import split

DRAWN_AT_ONCE = 10_000
"""The number of images whose pixels are drawn from one stream for the evaluation."""
INTERVALS = 20
"""The number of evaluations of a training that is counted in steps."""


@dataclass(frozen=True)
class Pack:
    """Runs that train together, and the data on their device."""

    runs: tuple[Settings, ...]
    vae: VAE
    train_images: Tensor
    """Levels 0..255, uint8 of shape [N, pixel]. On CPUs it is the memory-mapped file itself."""
    test_images: Tensor
    held_out_images: Tensor | None = None
    """Images of the training set that are not trained on, if the runs hold some out."""
    dynamic_binarisation: bool = False
    """Whether pixels of training images are drawn anew in each batch, as 0 or 1 with the grey
    level as the probability of 1."""

    @staticmethod
    def of(runs: Sequence[Settings], data: Arrays, device: torch.device) -> "Pack":
        """Make a pack: copy the data to the device and set the precision of this process.

        Raises:
            UserError: the device lacks the precision, the network cannot take the images, or
                there are too few of them to hold some out.
        """
        _set_precision(device, runs[0].precision)
        images, kept_apart = data.train_images, None
        if runs[0].held_out is not None:
            images, held_out = split(images, runs[0].held_out)
            kept_apart = torch.from_numpy(held_out).to(device).flatten(1)
        return Pack(
            runs=tuple(runs),
            vae=make_vae(runs, data.train_images.shape[1:], device),
            train_images=torch.from_numpy(images).to(device).flatten(1),
            test_images=torch.from_numpy(data.test_images).to(device).flatten(1),
            held_out_images=kept_apart,
            dynamic_binarisation=DATASETS[runs[0].dataset].dynamic_binarisation,
        )

    def only(self, k: int) -> "Pack":
        """A pack of the `k`-th run alone, with the same data."""
        runs, device = self.runs[k : k + 1], self.train_images.device
        return replace(self, runs=runs, vae=make_vae(runs, self.vae.network.image_shape, device))

    @property
    def shared(self) -> Settings:
        """The settings of the first run. The other runs differ from it only in the packed axes."""
        return self.runs[0]

    @property
    def draws(self) -> int:
        """The number of draws of z for each example in a step."""
        return self.vae.draws or 1

    @property
    def steps_per_epoch(self) -> int:
        """The number of whole batches in the training set.

        The remaining images are left out of an epoch. The next epoch has another order, so it
        leaves out others.
        """
        return len(self.train_images) // self.shared.batch_size

    @property
    def steps(self) -> int:
        """The number of optimisation steps of a complete training."""
        return self.shared.steps or (self.shared.epochs or 0) * self.steps_per_epoch

    @property
    def eval_interval(self) -> int:
        """The number of steps between two evaluations.

        It is an epoch, or a twentieth of a training that is counted in steps.
        """
        given = self.shared.steps
        return self.steps_per_epoch if given is None else max(1, given // INTERVALS)

    @property
    def evaluations(self) -> int:
        """The number of evaluations in a complete training. The last interval may be shorter."""
        return ceil(self.steps / self.eval_interval)

    def evaluate(self, parameters: Parameters, which: Literal["train", "test"]) -> Evaluation:
        """Evaluate the pack on its training or its test set."""
        images = {"train": self.train_images, "test": self.test_images}[which]
        if which == "train" and self.dynamic_binarisation:
            images = _binarised(images)
        return evaluate(self.vae, parameters, images, which, len(self.train_images))

    def bound(self, parameters: Parameters, which: Literal["train", "held-out"]) -> Tensor:
        """The bound of images that tell whether the pack overfits, in nats, shape [run].

        It has S^2 of these images. Of the training set they are the first ones, as many as the test
        set has, so that they cost no more.
        """
        images = self.train_images[: len(self.test_images)]
        if which == "held-out":
            if self.held_out_images is None:
                raise ValueError("these runs hold no images out")
            images = self.held_out_images
        if self.dynamic_binarisation:
            images = _binarised(images)
        size, vae = len(self.train_images), self.vae
        return evaluate(vae, parameters, images, which, size, with_objective=False).elbo


@dataclass
class TrainingState:
    """The state of a training. With the settings of the pack, it suffices to continue."""

    parameters: Parameters
    moments: Moments
    step: int = 0
    """The number of optimisation steps done, of `Pack.steps`."""
    seconds: float = 0.0
    """The time spent in optimisation steps, without evaluations."""
    diverged: list[int | None] = field(default_factory=list)
    """The step (from 1) at which each run's loss became non-finite."""
    history: list[list[HistoryPoint]] = field(default_factory=list)
    """The metrics of each run during training."""
    compiled: bool = False
    """Whether steps are compiled, see `training/compiled.py`."""

    def only(self, k: int) -> "TrainingState":
        """The state of the `k`-th run alone. It shares memory with this state.

        Training it changes the parameters and moments of this state, but not its counters.
        """
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
    """The state before the first step.

    Raises:
        UserError: weights are to decay, and the network has none.
    """
    parameters = pack.vae.network.initialise(pack.runs, pack.train_images.device)
    if pack.shared.weight_decay is not None and not decaying(parameters):
        raise UserError(
            f"weight_decay: no parameter of network '{pack.shared.network}' has a name that ends "
            f"in '{WEIGHT}', so that none would decay: leave it out, or name them so"
        )
    for tensor in parameters.values():
        tensor.requires_grad_()
    count = len(pack.runs)
    return TrainingState(
        parameters,
        Moments.zero(list(parameters.values())),
        diverged=[None] * count,
        history=[[] for _ in range(count)],
    )


def _binarised(images: Tensor) -> Tensor:
    """Black and white images, drawn once for all runs, as levels 0 and 255, uint8 [N, pixel]."""
    parts = [
        bernoulli([0], "pixels", f"evaluation/{number}", to_pixels(part)[None])[0]
        for number, part in enumerate(images.split(DRAWN_AT_ONCE))
    ]
    return (255 * torch.cat(parts)).to(torch.uint8)


def _set_precision(device: torch.device, precision: str) -> None:
    """Set for this process whether a GPU may round the inputs of matrix products to TF32.

    Raises:
        UserError: the precision is tf32 and the device is not a CUDA GPU.
    """
    reduced = precision == "tf32"
    if reduced and device.type != "cuda":
        raise UserError(f"precision tf32 needs a CUDA GPU, and this is {device.type}: use float32")
    torch.backends.cuda.matmul.allow_tf32 = reduced
    torch.backends.cudnn.allow_tf32 = reduced
