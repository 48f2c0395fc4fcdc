"""The device that trains: its choice and its description."""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from vaebench.errors import UserError

if TYPE_CHECKING:
    import torch


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of glibc's `mallopt`."""


def choose_device(wish: str) -> "torch.device":
    """The device that `wish` names (`auto`, `cpu`, `cuda`, `mps`); `auto` prefers a GPU.

    Raises:
        UserError: the named device is unknown or not available.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wish == "auto":
        wish = next((name for name, available in there.items() if available), "cpu")
    if wish not in {"cpu", *there}:
        raise UserError(f"device '{wish}' is not one of: auto, cpu, cuda, mps")
    if not there.get(wish, True):
        raise UserError(f"device '{wish}' is not available here: use --device auto")
    return torch.device(wish)


def expects_gpu(wish: str) -> bool:
    """Whether training will probably run on a GPU. This does not import torch.

    VAEBENCH_DEVICE overrides `wish`, as it does for training. Planning uses the result to run one
    training job at a time on a GPU. A wrong guess costs time, but does not change results.
    """
    wish = os.environ.get("VAEBENCH_DEVICE", wish)
    if wish != "auto":
        return wish != "cpu"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return False
    is_apple_gpu = platform.system() == "Darwin" and platform.machine() == "arm64"
    return is_apple_gpu or shutil.which("nvidia-smi") is not None


def hold_memory() -> None:
    """Let this process keep the memory that it frees, for its next allocation.

    By default, the C library of Linux returns large blocks to the system and requests them again,
    page by page. That takes about a tenth of the time of a training step on a CPU. On other systems
    this function does nothing.
    """
    if sys.platform == "linux":
        # The size of the largest block to keep, and the free memory to keep at the end of the heap.
        for option, size in ((M_MMAP_THRESHOLD, 1 << 30), (M_TRIM_THRESHOLD, (1 << 31) - 1)):
            getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)(option, size)


def describe_device(device: "torch.device") -> str:
    """The name of the processor, such as its model."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor_name() if device.type == "cpu" else f"{_processor_name()} GPU"


def describe_driver(device: "torch.device") -> str | None:
    """The versions of the GPU's driver and of the CUDA that torch was built with."""
    import torch

    if device.type != "cuda":
        return None
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        lines = subprocess.run(
            query, capture_output=True, encoding="utf-8", check=True
        ).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        lines = []
    return f"driver {lines[0] if lines else 'unknown'}, CUDA {torch.version.cuda}"


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
            return names[0] if names else platform.machine()
    except OSError:
        return platform.processor() or platform.machine()
