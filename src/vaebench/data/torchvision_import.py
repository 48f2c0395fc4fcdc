"""Imports torchvision, also where its compiled library does not fit the installed torch.

Its wheel for Linux on PyPI is built for CUDA torch. With a CPU torch its import fails, since two
operators are missing that the compiled library defines. This project does not use these operators.
With a definition of their schemas, the Python part of torchvision can be imported.
"""

import sys
from importlib import import_module
from types import ModuleType

# torch drops the definitions of a library when the object is garbage-collected.
_definitions: list[object] = []


def import_torchvision() -> None:
    """Import `torchvision`, so that later imports of its modules work."""
    try:
        import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _define_missing_operators()
        import_module("torchvision")


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

    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _definitions.append(library)
