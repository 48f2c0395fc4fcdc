"""Steps on CPUs: every run by itself on one thread, as many side by side as there are threads.

A product that two threads share waits for the slower of them dozens of times a step; two runs wait
for each other at the end of an epoch. A run in its own lane has its numbers in the caches, and they
do not depend on the runs that are trained beside it.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from vaebench.training.pack import Pack, TrainingState
from vaebench.training.step import Steps, step


def on_threads(pack: Pack, state: TrainingState) -> Steps:
    """How to take steps that change `state` in place; with fewer runs than threads, they share."""
    threads, size = torch.get_num_threads(), pack.shared.batch_size
    lanes = min(threads, len(pack.runs))
    alone = [(pack.only(k), state.only(k)) for k in range(len(pack.runs))]
    pool = ThreadPoolExecutor(
        lanes, initializer=torch.set_num_threads, initargs=(threads // lanes,)
    )

    def take(
        rows: Tensor, noise: Tensor, rates: Sequence[float], should_stop: Callable[[], bool]
    ) -> Tensor:
        turns = _Turns(len(alone), len(rates))
        bounds: list[list[Tensor]] = [[] for _ in alone]

        def work() -> None:
            while (turn := turns.take()) is not None:
                k, number = turn
                batch = slice(number * size, (number + 1) * size)
                try:
                    bound = step(
                        *alone[k], rows[k : k + 1, batch], noise[k : k + 1, batch], rates[number]
                    )
                except BaseException:
                    turns.stop()
                    raise
                finally:
                    between_steps = turns.finish(k)
                bounds[k].append(bound)
                if between_steps and should_stop():
                    turns.stop()

        if lanes == 1:
            work()
        else:
            for lane in [pool.submit(work) for _ in range(lanes)]:
                lane.result()
            torch.set_num_threads(threads)
        state.moments.step.add_(len(bounds[0]))
        return torch.stack([torch.cat(of_run) for of_run in bounds], 1)

    return take


class _Turns:
    """Who takes which step: always a run that is furthest behind and in no other lane."""

    def __init__(self, runs: int, steps: int) -> None:
        self._done = [0] * runs
        self._in_lane: set[int] = set()
        self._end = steps
        self._changed = threading.Condition()

    def take(self) -> tuple[int, int] | None:
        """A run and the number of its step; None once there is nothing left for this lane."""
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
        """Note a step; says whether all runs have taken it, and there are others to take."""
        with self._changed:
            self._in_lane.remove(run)
            before = min(self._done)
            self._done[run] += 1
            self._changed.notify_all()
            return before < min(self._done) < self._end

    def stop(self) -> None:
        """No step beyond the furthest that any run has begun, so that all end at the same."""
        with self._changed:
            self._end = max(done + (k in self._in_lane) for k, done in enumerate(self._done))
            self._changed.notify_all()
