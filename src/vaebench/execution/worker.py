"""The description of a training process, for the records of its runs."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from vaebench.execution.device import describe_device, describe_driver
from vaebench.execution.slurm_job import describe_job
from vaebench.runs.record import Worker

LIBRARIES = ("vaebench", "torch", "numpy", "pydantic", "safetensors")
VARIABLES = (
    *("ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE"),
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"),
    *("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG"),
)
"""Environment variables that choose instructions or number formats of the libraries, and with them
the last bits of weights. No other variable is recorded."""


def describe_worker(device: torch.device, packed_runs: int) -> Worker:
    """Describe this process.

    Args:
        device: the device that it trains on.
        packed_runs: the number of runs that it trains together.
    """
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return Worker.model_validate(
        {
            "device": device.type,
            "processor": describe_device(device),
            "driver": describe_driver(device),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "libraries": {name: version(name) for name in LIBRARIES},
            "threads": torch.get_num_threads(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "packed_runs": packed_runs,
            "commit": commit,
            "dirty": None if changes is None else bool(changes),
            "slurm": describe_job(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        }
    )


def _git(*arguments: str) -> str | None:
    """The output of git in the folder of this package. None if git fails or is not installed.

    Also None if the package is installed in a folder of another repository, such as a virtual
    environment there: its commits say nothing about this code.
    """
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        tracked = [*git, "ls-files", "--error-unmatch", Path(__file__).name]
        subprocess.run(tracked, capture_output=True, check=True)
        done = subprocess.run([*git, *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
