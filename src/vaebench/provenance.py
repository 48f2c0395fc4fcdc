"""The hash that names a run: what it is, by which code, on which bytes."""

from vaebench.data import DATASETS
from vaebench.files import digest_bytes
from vaebench.settings import Settings
from vaebench.sources import source_digest


def run_hash(settings: Settings) -> str:
    """SHA-256 over the digests of a run's settings, sources and data.

    Two results with one run hash are the same experiment; device, threads and pack may differ and
    are in the record of the worker.
    """
    sources = source_digest(settings.objective, settings.likelihood)
    return combine(settings.digest, sources, DATASETS[settings.dataset].digest)


def combine(settings: str, sources: str, data: str) -> str:
    """The run hash that follows from these digests."""
    return digest_bytes(f"{settings}\n{sources}\n{data}".encode())
