"""The training loop: every run of a pack advances together, one stacked step at a time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vaebench.data.prepared import Arrays, Bytes
from vaebench.density import training_log_likelihood
from vaebench.evaluation.bounds import Evaluation, evaluate
from vaebench.likelihoods import LIKELIHOODS, Likelihood
from vaebench.models.mlp import Network, Parameters
from vaebench.objectives import OBJECTIVES, Objective
from vaebench.records import HistoryPoint, finite
from vaebench.settings import Settings
from vaebench.streams import normal, order
from vaebench.training.adam import Moments, ascend


@dataclass(frozen=True)
class Pack:
    """Runs that train together, and the data on their device."""

    runs: tuple[Settings, ...]
    network: Network
    objective: Objective
    likelihood: Likelihood
    train_pixels: Tensor
    """In [0, 1], float32 of shape [N, pixel]."""
    test_pixels: Tensor

    @staticmethod
    def of(runs: Sequence[Settings], data: Arrays, device: torch.device) -> "Pack":
        """Bring the data of a pack to its device."""
        train, test = to_pixels(data.train_images, device), to_pixels(data.test_images, device)
        return Pack(
            runs=tuple(runs),
            network=Network.of(runs, train.shape[1], device),
            objective=OBJECTIVES[runs[0].objective],
            likelihood=LIKELIHOODS[runs[0].likelihood],
            train_pixels=train,
            test_pixels=test,
        )

    @property
    def seeds(self) -> list[int]:
        """The seed of each run."""
        return [run.seed for run in self.runs]

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the training set; a remainder waits for another epoch's order."""
        return len(self.train_pixels) // self.runs[0].batch_size

    @property
    def steps(self) -> int:
        """Optimisation steps of a complete training."""
        return self.runs[0].epochs * self.steps_per_epoch

    def evaluate(self, parameters: Parameters, which: str) -> Evaluation:
        """The pack on its `train` or `test` set."""
        pixels = self.train_pixels if which == "train" else self.test_pixels
        return evaluate(
            self.network,
            self.objective,
            self.likelihood,
            parameters,
            self.seeds,
            pixels,
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


def begin(pack: Pack) -> TrainingState:
    """The state before the first step."""
    parameters = pack.network.initialise(pack.runs, pack.train_pixels.device)
    for tensor in parameters.values():
        tensor.requires_grad_()
    count = len(pack.runs)
    return TrainingState(
        parameters,
        Moments.zero(list(parameters.values())),
        diverged=[None] * count,
        history=[[] for _ in range(count)],
    )


def advance(
    pack: Pack,
    state: TrainingState,
    should_stop: Callable[[], bool],
    after_epoch: Callable[[int], None],
) -> bool:
    """Train `state` in place to its end, or until `should_stop` says so.

    Args:
        pack: what is trained.
        state: where training stands; it may be in the middle of an epoch.
        should_stop: asked after every step.
        after_epoch: called with the number of each finished epoch, after its evaluation.

    Returns:
        Whether training is complete.
    """
    epochs = pack.runs[0].epochs
    while state.step < pack.steps:
        stopped = _train_in_epoch(pack, state, should_stop)
        epoch, position = divmod(state.step, pack.steps_per_epoch)
        if position == 0:
            if is_recorded(epoch, epochs):
                _record_history(pack, state, epoch)
            after_epoch(epoch)
        if stopped and state.step < pack.steps:
            return False
    return True


def training_bound(pack: Pack, parameters: Parameters, x: Tensor, noise: Tensor) -> Tensor:
    """The objective on a batch, in nats per example, shape [run].

    Args:
        pack: what is trained.
        parameters: stacked, as `Network.initialise` makes them.
        x: scaled data, shape [run, batch, pixel].
        noise: standard normal, shape [run, batch, latent].
    """
    posterior = pack.network.encode(parameters, x)
    z = posterior.mean + posterior.std * noise
    decoded = pack.network.decode(parameters, z)
    log_likelihood = training_log_likelihood(
        pack.likelihood, x, decoded, posterior, pack.network.tau
    )
    return pack.objective.bound(posterior, log_likelihood)


def is_recorded(epoch: int, epochs: int) -> bool:
    """Whether the history has this epoch: 1 to 10, every fifth and the last."""
    return epoch <= 10 or epoch % 5 == 0 or epoch == epochs


def to_pixels(images: Bytes, device: torch.device) -> Tensor:
    """Grey values 0..255 of shape [N, ...] to pixels in [0, 1], float32 of shape [N, pixel]."""
    return torch.from_numpy(images).to(device).flatten(1).float().div_(255)


def _train_in_epoch(pack: Pack, state: TrainingState, should_stop: Callable[[], bool]) -> bool:
    """Take the steps that the current epoch still lacks; returns whether it was stopped early."""
    started = time.perf_counter()
    epoch, first = divmod(state.step, pack.steps_per_epoch)
    size, device = pack.runs[0].batch_size, pack.train_pixels.device
    examples = pack.steps_per_epoch * size
    rows = order(pack.seeds, epoch, len(pack.train_pixels), device)
    noise = normal(pack.seeds, "noise", epoch, (examples, pack.network.latent_dim), device)
    parameters = list(state.parameters.values())
    bounds: list[Tensor] = []
    stopped = False
    for k in range(first, pack.steps_per_epoch):
        batch = slice(k * size, (k + 1) * size)
        x = pack.network.scale(pack.train_pixels[rows[:, batch]])
        bound = training_bound(pack, state.parameters, x, noise[:, batch])
        # Runs share no parameter, so the gradient of the sum is each run's own.
        gradients = torch.autograd.grad(bound.sum(), parameters)
        ascend(parameters, gradients, state.moments, pack.runs[0].learning_rate)
        bounds.append(bound.detach())
        if should_stop():
            stopped = True
            break
    _note_divergence(state, torch.stack(bounds).cpu())
    state.step += len(bounds)
    state.seconds += time.perf_counter() - started
    return stopped


def _note_divergence(state: TrainingState, bounds: Tensor) -> None:
    """Record the first non-finite of `bounds` [step, run], which begin after `state.step`."""
    for run, finite_steps in enumerate(bounds.isfinite().T):
        if state.diverged[run] is None and not finite_steps.all():
            state.diverged[run] = state.step + int(finite_steps.int().argmin()) + 1


def _record_history(pack: Pack, state: TrainingState, epoch: int) -> None:
    test = pack.evaluate(state.parameters, "test")
    # The T of a likelihood that takes it from a batch would need the whole training set here.
    is_density = pack.likelihood.variance is None
    for run, points in enumerate(state.history):
        points.append(
            HistoryPoint(
                epoch=epoch,
                objective=finite(test.objective[run]),
                elbo=finite(test.elbo[run]) if is_density else None,
                rate=finite(test.rate[run]),
                distortion=finite(test.distortion[run]) if is_density else None,
                mse=finite(pack.network.mse(test.squared_residual)[run]),
            )
        )
