"""Compiled training steps on CPUs: when they are used, and where the compiled code is kept.

They give the numbers of plain steps, up to rounding, in four fifths of the time. Compiling takes
some 20 seconds, once for each kind of run on a machine. So only long trainings do it, those of
`LONG` steps or more. VAEBENCH_COMPILE=never or =always overrides the length.
A training that begins with one kind of steps is continued with it.

Compiled code is kept in the user's cache folder, named by the digest of all that it depends on. It
is never taken from a store or an archive.
"""

import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaebench.core.network import Parameters
from vaebench.errors import UserError
from vaebench.files import digest_bytes
from vaebench.numerics.kernels import has_onednn
from vaebench.progress import log
from vaebench.training.library import Compiled, load
from vaebench.training.pack import Pack, TrainingState
from vaebench.training.step import Gradients, by_autograd

LONG = 20_000
"""The number of steps from which compiling pays: 100 epochs of MNIST, two minutes of one core."""
VARIABLE = "VAEBENCH_COMPILE"
LIBRARY = "step.so"
CHOICES = ("auto", "always", "never")
TOLERANCE = 1e-3
"""The largest difference of compiled and plain gradients, relative to the largest gradient of a
parameter. Rounding makes differences of 1e-6; a wrong graph makes ones of the order of 1."""


def chosen(pack: Pack, wish: str | None = None) -> bool:
    """Whether a training that begins now has compiled steps.

    Args:
        pack: the runs.
        wish: one of `CHOICES`. None: as VAEBENCH_COMPILE says.

    Raises:
        UserError: the wish is not one of the choices.
    """
    wish = wish or os.environ.get(VARIABLE) or CHOICES[0]
    if wish not in CHOICES:
        raise UserError(f"{VARIABLE} is '{wish}': choose one of {', '.join(CHOICES)}")
    able = (
        pack.train_images.device.type == "cpu"
        and pack.shared.precision == "float32"
        and pack.shared.network == "mlp"
        and has_onednn()
    )
    return able and wish != "never" and (wish == "always" or pack.steps >= LONG)


def compiler() -> str | None:
    """The first line of what the C++ compiler says of itself. None if there is none."""
    command = os.environ.get("CXX") or next(filter(shutil.which, ("g++", "clang++")), None)
    if command is None:
        return None
    try:
        told = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return (told.stdout.splitlines() or [command])[0]


def compiled(runs: Sequence[tuple[Pack, TrainingState]], lanes: int) -> list[Gradients] | None:
    """Compile the step of these runs, or take it from the cache.

    Args:
        runs: packs of one run each, which differ only in the packed axes.
        lanes: the number of steps that are computed side by side.

    Returns:
        The function that computes the gradients of each run. None if that is not possible; the
        reason is then logged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _compiled(runs, lanes)
    except Exception as error:  # Whatever a compiler fails with: plain steps always work.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        log.info(f"steps are not compiled, which makes them slower: {reason}")
        return None


def _compiled(runs: Sequence[tuple[Pack, TrainingState]], lanes: int) -> list[Gradients]:
    from vaebench.training.trace import example, graph_of

    version = compiler()
    if version is None:
        raise UserError("there is no C++ compiler (g++, clang++ or the one that CXX names)")
    codes: dict[str, Compiled] = {}
    functions: list[Gradients] = []
    for pack, state in runs:
        graph, own = graph_of(pack, state)
        inputs = example(pack, state)
        key = _digest(graph.code, [*inputs, *own], version)
        if key not in codes:
            library = _library(key, graph, [*inputs, *own])
            codes[key] = load(library, lanes)
        function = _function(codes[key], own)
        _check(function, pack, list(state.parameters), inputs)
        functions.append(function)
    return functions


def _library(key: str, graph: Any, inputs: list[Tensor]) -> Path:
    """The compiled code in the cache. It is made if it is not there."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    cache_folder = home / "vaebench" / "steps"
    library = cache_folder / key / LIBRARY
    if not library.exists():
        from vaebench.training.trace import compile_graph

        log.info("compiling the training step, once for this kind of run")
        cache_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder) as folder:
            made = Path(folder) / "made"
            made.mkdir()
            compile_graph(graph, inputs, made / LIBRARY)
            # Another process may have been faster. A folder with files is not replaced.
            with suppress(OSError):
                made.rename(library.parent)
    return library


def _function(code: Compiled, own: list[Tensor]) -> Gradients:
    def gradients(
        _: Pack, parameters: Parameters, pixels: Tensor, noise: Tensor, done: int | Tensor
    ) -> list[Tensor]:
        values = [value.detach() for value in parameters.values()]
        return code([*values, pixels, noise, torch.tensor(float(done)), *own])

    return gradients


def _check(function: Gradients, pack: Pack, names: Sequence[str], inputs: Sequence[Tensor]) -> None:
    """Compare with plain steps, at the first and the last step of the training.

    Raises:
        UserError: they differ by more than rounding.
    """
    *values, pixels, noise, _ = inputs
    leaves = (value.clone().requires_grad_() for value in values)
    parameters = dict(zip(names, leaves, strict=True))
    for done in (0, pack.steps - 1):
        arguments = (pack, parameters, pixels, noise, done)
        for ours, plain in zip(function(*arguments), by_autograd(*arguments), strict=True):
            if not (ours - plain).abs().max() <= TOLERANCE * plain.abs().max():
                raise UserError("compiled gradients differ from plain ones by more than rounding")


def _digest(code: str, inputs: Sequence[Tensor], compiler_version: str) -> str:
    shapes = [f"{tuple(value.shape)} {value.stride()} {value.dtype}" for value in inputs]
    machine = (torch.__version__, torch.backends.cpu.get_cpu_capability(), _processor())
    return digest_bytes("\n".join([code, *shapes, *machine, compiler_version]).encode())


@cache
def _processor() -> str:
    """The model and the instructions of the processor, for which the code is compiled."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = file.read().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags")))
