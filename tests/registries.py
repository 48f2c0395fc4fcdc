"""Tests may register objectives and more; afterwards the registries are as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

from vaebench.experiment import plugins


@contextmanager
def registries_apart() -> Iterator[None]:
    """Registries as they are, restored afterwards; what plugins have loaded is forgotten."""
    kept = [dict(registry) for registry in plugins.REGISTRIES]
    loaded, plain = dict(plugins._loaded), dict(plugins._plain_functions)
    try:
        yield
    finally:
        for registry, entries in zip(plugins.REGISTRIES, kept, strict=False):
            registry.clear()
            registry.update(entries)
        for now, before in ((plugins._loaded, loaded), (plugins._plain_functions, plain)):
            now.clear()
            now.update(before)  # type: ignore[arg-type]
