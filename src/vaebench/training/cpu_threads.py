"""Optimisation steps on CPUs. Each thread computes the steps of one run at a time.

Sharing a matrix product between threads would make them wait for each other dozens of times a step.
Here they wait only at the end of an epoch. The numbers of a single run fit into a processor's
cache, and they do not depend on the other runs of the pack.

A lane is one of the places at which steps are computed side by side. There is a lane for each
thread. With fewer runs than threads there is one for each run, and its matrix products share the
remaining threads.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from vaebench.numerics.subnormals import subnormals_as_zero
from vaebench.training.compiled import compiled
from vaebench.training.pack import Pack, TrainingState
from vaebench.training.step import Gradients, Steps, by_autograd, step


def on_threads(pack: Pack, state: TrainingState) -> Steps:
    """The function that takes steps on CPUs and changes `state` in place."""
    threads, size = torch.get_num_threads(), pack.shared.batch_size
    lanes = min(threads, len(pack.runs))
    alone = [(pack.only(k), state.only(k)) for k in range(len(pack.runs))]
    gradients: list[Gradients] = [by_autograd] * len(alone)
    if state.compiled:
        made = compiled(alone, lanes)
        state.compiled = made is not None
        gradients = made or gradients
    pool = ThreadPoolExecutor(
        lanes, initializer=torch.set_num_threads, initargs=(threads // lanes,)
    )

    def take(
        rows: Tensor,
        noise: Tensor,
        rates: Sequence[float],
        done: int,
        should_stop: Callable[[], bool],
    ) -> Tensor:
        turns = _Turns(len(alone), len(rates))
        bounds: list[list[Tensor]] = [[] for _ in alone]

        @subnormals_as_zero()
        def work() -> None:
            while (turn := turns.take()) is not None:
                k, number = turn
                batch = slice(number * size, (number + 1) * size)
                draws = slice(batch.start * pack.draws, batch.stop * pack.draws)
                try:
                    bound = step(
                        *alone[k],
                        rows[k : k + 1, batch],
                        noise[k : k + 1, draws],
                        rates[number],
                        done + number,
                        gradients[k],
                    )
                except BaseException:
                    turns.stop()
                    raise
                finally:
                    between_steps = turns.finish(k)
                bounds[k].append(bound)
                if between_steps and should_stop():
                    turns.stop()

        # Threads that share an operation belong to the one that starts them, and count subnormal
        # numbers as it does. Those of the main thread also work for others.
        if threads == 1:
            work()
        else:
            for lane in [pool.submit(work) for _ in range(lanes)]:
                lane.result()
            torch.set_num_threads(threads)
        state.moments.step.add_(len(bounds[0]))
        return torch.stack([torch.cat(of_run) for of_run in bounds], 1)

    return take


class _Turns:
    """Decides which step comes next: one of the run that is furthest behind and in no lane."""

    def __init__(self, runs: int, steps: int) -> None:
        self._done = [0] * runs
        self._in_lane: set[int] = set()
        self._end = steps
        self._changed = threading.Condition()

    def take(self) -> tuple[int, int] | None:
        """Assign a step to a lane. Waits while every run that has steps left is in a lane.

        Returns:
            The run and the number of its step. None if no step is left for this lane.
        """
        with self._changed:
            while True:
                free = [
                    k
                    for k, done in enumerate(self._done)
                    if done < self._end and k not in self._in_lane
                ]
                if free:
                    k = min(free, key=self._done.__getitem__)
                    self._in_lane.add(k)
                    return k, self._done[k]
                if all(self._done[k] + 1 >= self._end for k in self._in_lane):
                    return None
                self._changed.wait()

    def finish(self, run: int) -> bool:
        """Note that a step is done.

        Returns:
            Whether all runs have now taken it and have further steps to take.
        """
        with self._changed:
            self._in_lane.remove(run)
            before = min(self._done)
            self._done[run] += 1
            self._changed.notify_all()
            return before < min(self._done) < self._end

    def stop(self) -> None:
        """End all runs at the same step: the last one that any run has begun."""
        with self._changed:
            self._end = max(done + (k in self._in_lane) for k, done in enumerate(self._done))
            self._changed.notify_all()
