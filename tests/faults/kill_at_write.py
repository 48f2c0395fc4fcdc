"""Runs `vaebench` and kills it at the n-th moment of writing: python kill_at_write.py N ARGUMENTS.

Moments are every fsync, rename and removal of a file, each before it happens: whatever lies between
two of them leaves on the disk what one of them leaves.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vaebench.cli import main


def counted(function: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def wrapper(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    return wrapper


if __name__ == "__main__":
    left = [int(sys.argv.pop(1))]
    os.fsync = counted(os.fsync, left)
    os.replace = counted(os.replace, left)
    Path.unlink = counted(Path.unlink, left)  # type: ignore[method-assign]
    main()
