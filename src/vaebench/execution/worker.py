"""The description of a training process, for the records of its runs."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from vaebench.execution.device import describe_device, describe_driver
from vaebench.execution.slurm_job import describe_job
from vaebench.progress import log
from vaebench.runs.record import Worker

LIBRARIES = ("vaebench", "torch", "numpy", "pydantic", "safetensors")
DECISIVE = (
    *("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE"),
    *("ONEDNN_DEFAULT_FPMATH_MODE", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE"),
    *("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
)
"""Environment variables with which the same training gives other bits."""


def describe_worker(device: torch.device, packed_runs: int, compiler: str | None = None) -> Worker:
    """Describe this process.

    Args:
        device: the device that it trains on.
        packed_runs: the number of runs that it trains together.
        compiler: of its steps, if they are compiled.
    """
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return Worker.model_validate(
        {
            "device": device.type,
            "processor": describe_device(device),
            "driver": describe_driver(device),
            "platform": _platform(),
            "python": platform.python_version(),
            "libraries": {name: version(name) for name in LIBRARIES},
            "threads": torch.get_num_threads(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "packed_runs": packed_runs,
            "commit": commit,
            "dirty": None if changes is None else bool(changes),
            "slurm": describe_job(),
            "arithmetic": _arithmetic() | ({} if compiler is None else {"compiler": compiler}),
        }
    )


def _platform() -> str:
    """Without the kernel's name, which may tell whose machine it is."""
    library, number = platform.libc_ver()
    return " ".join(filter(None, (platform.system(), platform.machine(), library, number)))


def _arithmetic() -> dict[str, str]:
    known = {name: os.environ[name] for name in DECISIVE if name in os.environ}
    return {"instructions": torch.backends.cpu.get_cpu_capability(), **known}


def _git(*arguments: str) -> str | None:
    """The output of git in the folder of this package. None if git fails or is not installed.

    Also None if the package is installed in a folder of another repository, such as a virtual
    environment there: its commits say nothing about this code.
    """
    folder = Path(__file__).parent
    git = ["git", "-C", str(folder)]
    environment = os.environ | {"LC_ALL": "C"}  # for its messages
    try:
        tracked = [*git, "ls-files", "--error-unmatch", Path(__file__).name]
        subprocess.run(tracked, capture_output=True, check=True, env=environment)
        done = subprocess.run([*git, *arguments], capture_output=True, check=True, env=environment)
    except OSError:
        return None
    except subprocess.CalledProcessError as error:
        if b"dubious ownership" in error.stderr:
            _warn_of_owner(folder)
        return None
    return os.fsdecode(done.stdout).strip()


@cache
def _warn_of_owner(folder: Path) -> None:
    root = next((path for path in folder.parents if (path / ".git").exists()), folder)
    log.info(
        f"git does not read {root}, which belongs to another user, so that no commit is recorded. "
        f"To trust it: git config --global --add safe.directory '{root}'"
    )
