"""Shows the progress of long work: as a bar in a terminal, otherwise as log lines.

Lines go through the logger `vaebench` of the standard `logging` module.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator

from vaebench.plain_text import printable

SECONDS_BETWEEN_LINES = 5.0

log = logging.getLogger("vaebench")


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes each message as a line to the current `sys.stderr`, which may have been replaced."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        # If standard error is a pipe whose reader has exited, or a terminal that is closed, work
        # goes on.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def show_log_lines() -> None:
    """Show the lines of this package on standard error, without a prefix."""
    if not log.handlers:
        log.addHandler(_Lines())
    log.setLevel(logging.INFO)
    # Snakemake has its own handlers, which would print each line a second time.
    log.propagate = False


@contextlib.contextmanager
def byte_progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a download. Yields a function to call with the number of bytes received.

    Args:
        what: the address of the file.
        total: its size in bytes, 0 if it is unknown.
    """
    if not sys.stderr.isatty():
        log.info(f"downloading {what}")
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what.rsplit("/", 1)[-1], total=total or None)
        yield lambda count: bar.advance(task, count)


@contextlib.contextmanager
def count_progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show work on many items. Yields a function to call with the number of items just done."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total)
            yield lambda count: bar.advance(task, count)
        return
    done, line_printed = 0, time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, line_printed
        done += count
        if done >= total or time.monotonic() - line_printed > SECONDS_BETWEEN_LINES:
            line_printed = time.monotonic()
            log.info(f"{what}: {min(done, total)} of {total}")

    yield advance


class TrainingProgress:
    """Shows a training job: progress, steps per second of each run, bound and remaining time."""

    def __init__(self, label: str, intervals: int, unit: str = "epoch", size: int = 1) -> None:
        """Start showing a job.

        Args:
            label: the name of the job.
            intervals: the number of evaluations in the job.
            unit: the unit that is shown, such as "epoch" or "step".
            size: the number of these units between two evaluations.
        """
        self._label, self._intervals, self._unit, self._size = label, intervals, unit, size
        self._line_printed = time.monotonic()
        self._first: tuple[int, float] | None = None
        self._bar: Callable[[int, str], None] | None = None
        self._close: Callable[[], None] = lambda: None
        if sys.stderr.isatty():
            self._open_bar()

    def __enter__(self) -> "TrainingProgress":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._close()

    def report(self, number: int, steps_per_second: float | None, objective: float | None) -> None:
        """Show that an interval has ended.

        Args:
            number: its number, from 1.
            steps_per_second: optimisation steps of each run per second of training. None if it is
                not measured.
            objective: the objective on the test set, averaged over the runs, in nats. None before
                the first evaluation.
        """
        bound = "" if objective is None else f", test objective {objective:.2f} nats"
        text = ("" if steps_per_second is None else f"{steps_per_second:.0f} steps/s") + bound
        if self._bar is not None:
            with contextlib.suppress(OSError):  # of a terminal that is closed
                self._bar(number, text)
            return
        now = time.monotonic()
        if self._first is None:
            # The first interval may hold what is done once, such as compiling: it tells nothing of
            # the time that is left.
            self._first = (number, now)
            left = ""
        elif number < self._intervals and now - self._line_printed < SECONDS_BETWEEN_LINES:
            return
        else:
            first, since = self._first
            seconds = (now - since) / (number - first) * (self._intervals - number)
            left = f"{_duration(seconds)} left"
        self._line_printed = now
        counted = f"{self._unit} {number * self._size}/{self._intervals * self._size}"
        log.info(f"[{self._label}] {', '.join(part for part in (counted, text, left) if part)}")

    def _open_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        bar = Progress(
            TextColumn(self._label),
            BarColumn(),
            TextColumn(self._unit + " {task.completed}/{task.total}, {task.fields[text]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        task = bar.add_task(self._label, total=self._intervals * self._size, text="starting")
        bar.start()
        self._bar = lambda number, text: bar.update(task, completed=number * self._size, text=text)
        self._close = bar.stop


def _duration(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
