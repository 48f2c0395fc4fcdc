"""Snakemake's lock on a folder, cleared where the snakemake that took it is gone.

Snakemake's own locks are files, which a killed snakemake leaves behind, and which then ask for
`--unlock`. Each snakemake of this project therefore also holds a lock of the kernel's, which goes
with its process: who gets it alone knows that every lock file here is a dead one's.
"""

import fcntl
import json
import os
import platform
import shutil
from pathlib import Path
from typing import TextIO

from vaebench.progress import log

_held: list[TextIO] = []
"""Open for as long as this process lives."""


def hold_folder(snakemake: Path) -> None:
    """Hold the folder for this snakemake, beside others if there are any; clear dead ones' locks.

    Args:
        snakemake: the folder `.snakemake`.
    """
    snakemake.mkdir(parents=True, exist_ok=True)
    file = (snakemake / "vaebench.lock").open("a+", encoding="utf-8")
    _held.append(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(file, fcntl.LOCK_SH)
        file.seek(0)
        log.info(f"another snakemake is running here: {file.read().strip() or 'unknown'}")
        return
    if any((snakemake / "locks").glob("*.lock")):
        log.info("the snakemake that locked this folder was killed: this one continues")
        shutil.rmtree(snakemake / "locks")
        (snakemake / "locks").mkdir()
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": platform.node()}))
    file.flush()
    # Shared from now on: another may join, for another tier, but none may clear our locks.
    fcntl.flock(file, fcntl.LOCK_SH)
