"""The training loop: every run of a pack advances together, one stacked step at a time."""

import time
from collections.abc import Callable
from math import ceil, cos, pi

from torch import Tensor

from vaebench.core.streams import normal, order
from vaebench.experiment.settings import Settings
from vaebench.runs.record import HistoryPoint, finite
from vaebench.training.cpu_threads import on_threads
from vaebench.training.cuda_graph import by_graph
from vaebench.training.pack import Pack, TrainingState
from vaebench.training.step import Steps, one_by_one

CONSTANT_PART = 0.8
"""Of the steps, before the step size of `constant-cosine` falls."""


def train(
    pack: Pack,
    state: TrainingState,
    should_stop: Callable[[], bool],
    after_evaluation: Callable[[int], None],
) -> bool:
    """Train `state` in place to its end, or until `should_stop` says so.

    Args:
        pack: what is trained.
        state: where training stands; it may be in the middle of an epoch.
        should_stop: asked after every step, on a GPU after every few.
        after_evaluation: called with the number of each interval that has ended, after its
            evaluation. An interval is an epoch, unless training is counted in steps.

    Returns:
        Whether training is complete.
    """
    device = pack.train_images.device.type
    steps = {"cpu": on_threads, "cuda": by_graph}.get(device, one_by_one)(pack, state)
    orders = _Orders(pack)
    while state.step < pack.steps:
        _train_in_epoch(pack, state, steps, orders, should_stop)
        if state.step % pack.eval_interval == 0 or state.step == pack.steps:
            number = ceil(state.step / pack.eval_interval)
            if is_recorded(pack.shared, number):
                _record_history(pack, state, number)
            after_evaluation(number)
        if state.step < pack.steps and should_stop():
            return False
    return True


def is_recorded(run: Settings, number: int) -> bool:
    """Whether the history has this interval: all, or epochs 1 to 10, every fifth and the last."""
    return run.epochs is None or number <= 10 or number % 5 == 0 or number == run.epochs


def step_size(run: Settings, step: int, steps: int) -> float:
    """Adam's step size for the step after `step` of `steps`."""
    fallen = (step / steps - CONSTANT_PART) / (1 - CONSTANT_PART)
    if run.schedule == "constant" or fallen <= 0:
        return run.learning_rate
    return run.learning_rate * 0.5 * (1 + cos(pi * fallen))


class _Orders:
    """The order of the data in each epoch, drawn ahead of time while a GPU is busy."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._drawn: dict[int, Tensor] = {}

    def of(self, epoch: int) -> Tensor:
        """On the device of the pack, shape [run, example]."""
        self.draw(epoch)
        self._drawn = {epoch: self._drawn[epoch]}
        images = self._pack.train_images
        rows = self._drawn[epoch]
        if images.device.type == "cuda":
            # From pinned memory, it is copied without waiting for what the GPU is doing.
            rows = rows.pin_memory()
        return rows.to(images.device, non_blocking=True)

    def draw(self, epoch: int) -> None:
        """Have the order of an epoch ready."""
        if epoch not in self._drawn:
            self._drawn[epoch] = order(self._pack.vae.seeds, epoch, len(self._pack.train_images))


def _train_in_epoch(
    pack: Pack,
    state: TrainingState,
    steps: Steps,
    orders: _Orders,
    should_stop: Callable[[], bool],
) -> None:
    """Take the steps that the current epoch and interval still lack, or fewer if it should stop."""
    started = time.perf_counter()
    epoch, first = divmod(state.step, pack.steps_per_epoch)
    size, device = pack.shared.batch_size, pack.train_images.device
    # An epoch that begins in one interval may end in another.
    left = min(pack.eval_interval - state.step % pack.eval_interval, pack.steps - state.step)
    last = min(first + left, pack.steps_per_epoch)
    examples = pack.steps_per_epoch * size
    rows = orders.of(epoch)
    noise = normal(pack.vae.seeds, "noise", epoch, (examples, pack.vae.network.latent_dim), device)
    rates = [step_size(pack.shared, state.step + k, pack.steps) for k in range(last - first)]
    wanted = slice(first * size, last * size)
    bounds = steps(rows[:, wanted], noise[:, wanted], rates, should_stop)
    if last == pack.steps_per_epoch and state.step + len(bounds) < pack.steps:
        orders.draw(epoch + 1)
    _note_divergence(state, bounds.cpu())
    state.step += len(bounds)
    state.seconds += time.perf_counter() - started


def _note_divergence(state: TrainingState, bounds: Tensor) -> None:
    """Record the first non-finite of `bounds` [step, run], which begin after `state.step`."""
    for run, finite_steps in enumerate(bounds.isfinite().T):
        if state.diverged[run] is None and not finite_steps.all():
            state.diverged[run] = state.step + int(finite_steps.int().argmin()) + 1


def _record_history(pack: Pack, state: TrainingState, number: int) -> None:
    test = pack.evaluate(state.parameters, "test")
    # The T of a likelihood that takes it from a batch would need the whole training set here.
    is_density = pack.vae.likelihood.variance is None
    for run, points in enumerate(state.history):
        points.append(
            HistoryPoint(
                epoch=None if pack.shared.epochs is None else number,
                step=state.step,
                objective=finite(test.objective[run]),
                elbo=finite(test.elbo[run]) if is_density else None,
                rate=finite(test.rate[run]),
                distortion=finite(test.distortion[run]) if is_density else None,
                mse=finite(pack.vae.network.mse(test.squared_residual)[run]),
            )
        )
