"""Dates of files that lie in the future, after a clock was set back.

Snakemake refuses what a job makes if an input is newer, until time has caught up.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from vaebench.progress import log

TOLERATED = 2.0
"""Seconds by which the clocks of two machines that share files may differ."""


def end_future_dates(places: Iterable[Path]) -> int:
    """Date the files in the future as of now. Their order stays: newer files stay newer.

    Args:
        places: files, and folders with files at any depth. They need not exist.

    Returns:
        The number of files in the future, whether or not their dates could be changed.
    """
    now = time.time()
    dated = ((path.stat().st_mtime, path) for place in places for path in _files(place))
    future = sorted((date, path) for date, path in dated if date > now + TOLERATED)
    for k, (_, path) in enumerate(future):
        date = now - 0.001 * (len(future) - k)
        with contextlib.suppress(OSError):  # such as in a folder that is read only
            os.utime(path, (date, date))
    if future:
        log.info(
            f"{len(future)} files have dates in the future, such as {future[-1][1]}, as if the "
            "clock was set back: they are dated as of now"
        )
    return len(future)


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for path in place.rglob("*"):
        if path.is_file():
            yield path
