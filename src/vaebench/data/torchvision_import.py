"""Makes torchvision importable, also where its compiled library does not fit the installed torch.

Its wheel for Linux on PyPI is built for CUDA torch. With a CPU torch its import fails, since two
operators are missing that the compiled library defines. This project does not use these operators.
With a definition of their schemas, the Python part of torchvision can be imported.
"""

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

# torch drops the definitions of a library when the object is garbage-collected.
_definitions: list[object] = []


@cache
def import_torchvision() -> None:
    """Let later imports of `torchvision` and of its modules work.

    It is not imported now: that takes seconds, and most callers need a library alone that would
    import it.
    """
    if "torchvision" in sys.modules or (spec := find_spec("torchvision")) is None:
        return
    import torch

    for folder in spec.submodule_search_locations or ():
        for library in Path(folder).glob("_C*"):
            try:
                torch.ops.load_library(library)
            except (OSError, RuntimeError):
                continue  # It was built for another torch.
    if not hasattr(torch.ops.torchvision, "nms"):
        _define_missing_operators()


def torchvision_mnist() -> ModuleType:
    """The module `torchvision.datasets.mnist`."""
    import_torchvision()
    return import_module("torchvision.datasets.mnist")


def torchvision_celeba() -> ModuleType:
    """The module `torchvision.datasets.celeba`."""
    import_torchvision()
    return import_module("torchvision.datasets.celeba")


def _define_missing_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _definitions.append(library)
