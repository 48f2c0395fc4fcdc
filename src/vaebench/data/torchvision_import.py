"""The one place that imports torchvision, before others do.

Its wheel on PyPI for Linux is built against CUDA torch. Beside a CPU torch its import fails while
describing two operators that only the compiled library defines. Nothing here needs these
operators; defining their schemas lets the Python part load.
"""

import sys
from importlib import import_module
from types import ModuleType

_definitions: list[object] = []  # torch forgets a library's definitions when it is collected


def import_torchvision() -> None:
    """Bring `torchvision` into `sys.modules`, so that any later import of it works."""
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
