"""The training loop. All runs of a pack advance together."""

import time
from collections.abc import Callable
from math import ceil, cos, pi

import torch
from torch import Tensor

from vaebench.experiment.settings import Settings
from vaebench.numerics.streams import normal, order
from vaebench.runs.record import HistoryPoint, finite
from vaebench.training.cpu_threads import on_threads
from vaebench.training.cuda_graph import by_graph
from vaebench.training.pack import Pack, TrainingState
from vaebench.training.step import Steps, needs_step_number, one_by_one

CONSTANT_PART = 0.8
"""The share of the steps for which the schedule `constant-cosine` keeps the step size."""


def train(
    pack: Pack,
    state: TrainingState,
    should_stop: Callable[[], bool],
    after_evaluation: Callable[[int], None],
) -> bool:
    """Train `state` in place until training is complete or `should_stop` returns True.

    Args:
        pack: the runs to train.
        state: the state to continue from. It may be in the middle of an epoch.
        should_stop: called after every step, and on a CUDA GPU after every few steps.
        after_evaluation: called after the evaluation at the end of each interval, with the number
            of the interval. An interval is an epoch, or a twentieth of a training that is counted
            in steps.

    Returns:
        Whether training is complete.
    """
    steps = _way_of_steps(pack, state)(pack, state)
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


def _way_of_steps(pack: Pack, state: TrainingState) -> Callable[[Pack, TrainingState], Steps]:
    device = pack.train_images.device.type
    if device == "cuda" and needs_step_number(pack, state):
        return one_by_one
    return {"cpu": on_threads, "cuda": by_graph}.get(device, one_by_one)


def is_recorded(run: Settings, number: int) -> bool:
    """Whether the history has the interval with this number.

    If training is counted in steps, it has all. Otherwise it has epochs 1 to 10, every fifth epoch
    and the last one.
    """
    return run.epochs is None or number <= 10 or number % 5 == 0 or number == run.epochs


def step_size(run: Settings, step: int, steps: int) -> float:
    """Adam's step size for the next step, when `step` of `steps` are done.

    Both cosines (Loshchilov and Hutter, 2017) end at 0, which would be the size after the last
    step.
    """
    kept = 0.0 if run.schedule == "cosine" else CONSTANT_PART
    fallen = (step / steps - kept) / (1 - kept)
    if run.schedule == "constant" or fallen <= 0:
        return run.learning_rate
    return run.learning_rate * 0.5 * (1 + cos(pi * fallen))


class _Orders:
    """The order of the data in each epoch. It is drawn ahead of time, while a GPU is busy."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._drawn: dict[int, Tensor] = {}

    def of(self, epoch: int) -> Tensor:
        """The order of an epoch, on the device of the pack, int64 of shape [run, example]."""
        self.draw(epoch)
        self._drawn = {epoch: self._drawn[epoch]}
        images = self._pack.train_images
        rows = self._drawn[epoch]
        if images.device.type == "cuda":
            # A copy from pinned memory does not wait for the GPU's current work.
            rows = rows.pin_memory()
        return rows.to(images.device, non_blocking=True)

    def draw(self, epoch: int) -> None:
        """Draw the order of an epoch, unless it is drawn already."""
        if epoch not in self._drawn:
            self._drawn[epoch] = order(self._pack.vae.seeds, epoch, len(self._pack.train_images))


def _train_in_epoch(
    pack: Pack,
    state: TrainingState,
    steps: Steps,
    orders: _Orders,
    should_stop: Callable[[], bool],
) -> None:
    """Take the remaining steps of the current epoch or interval, whichever ends first.

    It takes fewer if `should_stop` returns True.
    """
    started = time.perf_counter()
    epoch, first = divmod(state.step, pack.steps_per_epoch)
    size = pack.shared.batch_size
    # An interval may end within an epoch.
    left = min(pack.eval_interval - state.step % pack.eval_interval, pack.steps - state.step)
    last = min(first + left, pack.steps_per_epoch)
    examples = pack.steps_per_epoch * size
    rows = orders.of(epoch)
    noise = _noise(pack, epoch, examples)
    rates = [step_size(pack.shared, state.step + k, pack.steps) for k in range(last - first)]
    wanted = slice(first * size, last * size)
    drawn = slice(wanted.start * pack.draws, wanted.stop * pack.draws)
    bounds = steps(rows[:, wanted], noise[:, drawn], rates, state.step, should_stop)
    if last == pack.steps_per_epoch and state.step + len(bounds) < pack.steps:
        orders.draw(epoch + 1)
    _note_divergence(state, bounds.cpu())
    state.step += len(bounds)
    state.seconds += time.perf_counter() - started


def _noise(pack: Pack, epoch: int, examples: int) -> Tensor:
    """The noise of an epoch, shape [run, step x draws x batch, latent].

    Each draw has a stream of its own. The first one is that of objectives with a single draw.
    """
    seeds, device = pack.vae.seeds, pack.train_images.device
    shape = (examples, pack.vae.network.latent_dim)
    first = normal(seeds, "noise", epoch, shape, device)
    if pack.draws == 1:
        return first
    others = [
        normal(seeds, "noise", f"{epoch}/{draw}", shape, device) for draw in range(1, pack.draws)
    ]
    by_step = (pack.steps_per_epoch, pack.shared.batch_size)
    stacked = torch.stack([draw.unflatten(1, by_step) for draw in [first, *others]], 2)
    return stacked.flatten(1, 3)


def _note_divergence(state: TrainingState, bounds: Tensor) -> None:
    """Record the step at which a run first has a non-finite objective.

    Args:
        state: has not yet counted the steps of `bounds`.
        bounds: the objectives of the steps after `state.step`, shape [step, run].
    """
    for run, finite_steps in enumerate(bounds.isfinite().T):
        if state.diverged[run] is None and not finite_steps.all():
            state.diverged[run] = state.step + int(finite_steps.int().argmin()) + 1


def _record_history(pack: Pack, state: TrainingState, number: int) -> None:
    test = pack.evaluate(state.parameters, "test")
    others = {}
    if pack.shared.epochs is not None:
        # It takes 1.3% of the time of the paper's training on MNIST. Trainings that are counted in
        # steps are short against their evaluations, and there it would take up to a third.
        others["train_elbo"] = pack.bound(state.parameters, "train")
    if pack.held_out_images is not None:
        others["held_out_elbo"] = pack.bound(state.parameters, "held-out")
    # If T is computed from a batch, the elbo needs the scalar T of the whole training set, which is
    # too costly here. So it is left out.
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
                mse=finite(pack.vae.mse(test.squared_residual)[run]),
                **{k: finite(v[run]) if is_density else None for k, v in others.items()},
            )
        )
