"""Calls a compiled graph in its shared library, without Python's global lock.

Torch's own caller keeps that lock while the code runs, so threads would wait for each other. This
one goes through the C interface of the library (torch/csrc/inductor/aoti_runtime/interface.h),
which `ctypes` calls without the lock.
"""

import ctypes
from collections.abc import Callable, Sequence
from ctypes import byref, c_char_p, c_int32, c_size_t, c_void_p, py_object
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from vaebench.errors import UserError

Compiled = Callable[[Sequence[Tensor]], list[Tensor]]
"""Takes the inputs of a graph, gives its outputs. Threads may call it at the same time."""

_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = c_void_p, (py_object, c_char_p)
_capsule_of = ctypes.pythonapi.PyCapsule_New
_capsule_of.restype, _capsule_of.argtypes = py_object, (c_void_p, c_char_p, c_void_p)


@cache
def load(library: Path, lanes: int) -> Compiled:
    """Load compiled code. It stays in memory until the process ends.

    Args:
        library: from `trace.compile_graph`.
        lanes: how many threads call it at the same time. Further ones wait.

    Raises:
        UserError: the library is damaged, or does not fit this version of torch. The function that
            is returned raises it where the code fails.
    """
    try:
        code = ctypes.CDLL(str(library))
        create, run = (
            code.AOTInductorModelContainerCreateWithDevice,
            code.AOTInductorModelContainerRun,
        )
        count = code.AOTInductorModelContainerGetNumOutputs
    except (OSError, AttributeError) as error:
        raise UserError(f"compiled code cannot be loaded: {error}") from error
    for function in (create, run, count):
        function.restype = c_int32
    container, outputs = c_void_p(), c_size_t()
    _check(create(byref(container), c_size_t(lanes), b"cpu", None))
    _check(count(container, byref(outputs)))

    def call(inputs: Sequence[Tensor]) -> list[Tensor]:
        # The code takes over what these handles point to, and hands over its outputs.
        handles = torch._C._aoti.unsafe_alloc_void_ptrs_from_tensors(list(inputs))
        given = (c_void_p * len(handles))(*(_pointer_of(handle, None) for handle in handles))
        made = (c_void_p * outputs.value)()
        _check(run(container, given, c_size_t(len(given)), made, outputs, None, None))
        capsules = [_capsule_of(pointer, None, None) for pointer in made]
        return torch._C._aoti.alloc_tensors_by_stealing_from_void_ptrs(capsules)

    return call


def _check(status: int) -> None:
    if status != 0:
        raise UserError("compiled code failed")
