"""Imports the two metrics of torchmetrics that `measures` uses, without all its others.

`import torchmetrics` imports every metric, and with them torchvision, the compiler of torch and
scipy.signal. That takes longer than measuring the samples of a small run.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec

LIBRARY = "torchmetrics"
PACKAGES = (LIBRARY, f"{LIBRARY}.image")
"""Packages whose own code imports the others' metrics."""
METRICS = (f"{LIBRARY}.image.kid", f"{LIBRARY}.image.fid")


def import_metrics() -> None:
    """Import the metrics, so that a later `from torchmetrics.image.kid import ...` costs nothing.

    A later `import torchmetrics` imports the rest, with the same classes. Where the library is laid
    out in another way, nothing is imported here, and the later import takes its time.
    """
    if LIBRARY in sys.modules or all(name in sys.modules for name in METRICS):
        return
    if find_spec(LIBRARY) is None:
        return
    try:
        with _packages_without_their_code():
            for name in (f"{LIBRARY}.utilities", *METRICS):
                import_module(name)
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.split(".")[0] == LIBRARY]:
            del sys.modules[name]


@contextmanager
def _packages_without_their_code() -> Iterator[None]:
    """While this lasts, `PACKAGES` can be imported from, and their own code has not run."""
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is None:
            raise ImportError(name)
        sys.modules[name] = module_from_spec(spec)
    # All that the modules ask of the package itself.
    vars(sys.modules[LIBRARY])["_logger"] = logging.getLogger(LIBRARY)
    try:
        yield
    finally:
        for name in PACKAGES:
            del sys.modules[name]
