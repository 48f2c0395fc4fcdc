"""The training loop: every run of a pack advances together, one stacked step at a time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, cos, pi

import torch
from torch import Tensor

from vaebench.data.prepared import Arrays
from vaebench.density import training_log_likelihood
from vaebench.evaluation.bounds import Evaluation, evaluate, to_pixels
from vaebench.likelihoods import LIKELIHOODS, Likelihood
from vaebench.models import make_network
from vaebench.models.base import Network, Parameters
from vaebench.objectives import OBJECTIVES, Objective
from vaebench.records import HistoryPoint, finite
from vaebench.settings import Settings
from vaebench.streams import normal, order
from vaebench.training.adam import Moments, ascend

STRETCHES = 20
"""Into how many parts a training is divided that is counted in steps."""
CONSTANT_PART = 0.8
"""Of the steps, before the step size of `constant-cosine` falls."""


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
        """Bring the data of a pack to its device."""
        return Pack(
            runs=tuple(runs),
            network=make_network(runs, data.train_images.shape[1:], device),
            objective=OBJECTIVES[runs[0].objective],
            likelihood=LIKELIHOODS[runs[0].likelihood],
            train_images=torch.from_numpy(data.train_images).to(device).flatten(1),
            test_images=torch.from_numpy(data.test_images).to(device).flatten(1),
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


def advance(
    pack: Pack,
    state: TrainingState,
    should_stop: Callable[[], bool],
    after_stretch: Callable[[int], None],
) -> bool:
    """Train `state` in place to its end, or until `should_stop` says so.

    Args:
        pack: what is trained.
        state: where training stands; it may be in the middle of an epoch.
        should_stop: asked after every step.
        after_stretch: called with the number of each finished stretch, after its evaluation; an
            epoch, unless training is counted in steps.

    Returns:
        Whether training is complete.
    """
    while state.step < pack.steps:
        stopped = _train_in_epoch(pack, state, should_stop)
        if state.step % pack.stretch == 0 or state.step == pack.steps:
            number = ceil(state.step / pack.stretch)
            if is_recorded(pack.runs[0], number):
                _record_history(pack, state, number)
            after_stretch(number)
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


def is_recorded(run: Settings, stretch: int) -> bool:
    """Whether the history has this stretch: all, or epochs 1 to 10, every fifth and the last."""
    return run.epochs is None or stretch <= 10 or stretch % 5 == 0 or stretch == run.epochs


def step_size(run: Settings, step: int, steps: int) -> float:
    """Adam's step size for the step after `step` of `steps`."""
    fallen = (step / steps - CONSTANT_PART) / (1 - CONSTANT_PART)
    if run.schedule == "constant" or fallen <= 0:
        return run.learning_rate
    return run.learning_rate * 0.5 * (1 + cos(pi * fallen))


def _train_in_epoch(pack: Pack, state: TrainingState, should_stop: Callable[[], bool]) -> bool:
    """Take the steps that the current epoch and stretch still lack.

    Returns:
        Whether it was stopped before.
    """
    started = time.perf_counter()
    epoch, first = divmod(state.step, pack.steps_per_epoch)
    size, device = pack.runs[0].batch_size, pack.train_images.device
    # An epoch that begins in one stretch may end in another.
    left = min(pack.stretch - state.step % pack.stretch, pack.steps - state.step)
    last = min(first + left, pack.steps_per_epoch)
    examples = pack.steps_per_epoch * size
    rows = order(pack.seeds, epoch, len(pack.train_images), device)
    noise = normal(pack.seeds, "noise", epoch, (examples, pack.network.latent_dim), device)
    parameters = list(state.parameters.values())
    bounds: list[Tensor] = []
    stopped = False
    for k in range(first, last):
        batch = slice(k * size, (k + 1) * size)
        x = pack.network.scale(to_pixels(pack.train_images[rows[:, batch]]))
        bound = training_bound(pack, state.parameters, x, noise[:, batch])
        # Runs share no parameter, so the gradient of the sum is each run's own.
        gradients = torch.autograd.grad(bound.sum(), parameters)
        rate = step_size(pack.runs[0], state.step + len(bounds), pack.steps)
        ascend(parameters, gradients, state.moments, rate)
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


def _record_history(pack: Pack, state: TrainingState, stretch: int) -> None:
    test = pack.evaluate(state.parameters, "test")
    # The T of a likelihood that takes it from a batch would need the whole training set here.
    is_density = pack.likelihood.variance is None
    for run, points in enumerate(state.history):
        points.append(
            HistoryPoint(
                epoch=None if pack.runs[0].epochs is None else stretch,
                step=state.step,
                objective=finite(test.objective[run]),
                elbo=finite(test.elbo[run]) if is_density else None,
                rate=finite(test.rate[run]),
                distortion=finite(test.distortion[run]) if is_density else None,
                mse=finite(pack.network.mse(test.squared_residual)[run]),
            )
        )
