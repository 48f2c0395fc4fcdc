"""The processor time and memory of a command, with all the processes that it starts."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
SNAKEMAKE = (str(Path(PYTHON).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile"))
VAEBENCH = (PYTHON, "-m", "vaebench")


@dataclass(frozen=True)
class Cost:
    """Of a command that ended well."""

    seconds: float
    """Of processor time, user and system."""
    memory: float
    """The peak of its largest process, in MiB."""


def cost(command: Sequence[str], folder: Path) -> Cost:
    """Run a command in a folder, with one thread and a store of its own there.

    Raises:
        SystemExit: it failed; the text ends with what it said last.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT / "src"),
        "VAEBENCH_STORE": str(folder / ".vaebench"),
    }
    said = folder / "said.log"
    with said.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        end = "\n".join(said.read_text("utf-8").splitlines()[-10:])
        raise SystemExit(f"{' '.join(command)} failed:\n{end}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
