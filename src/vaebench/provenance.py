"""The hash that names a run: what it is, by which code, on which bytes."""

from vaebench.files import digest_bytes
from vaebench.settings import Settings
from vaebench.sources import source_digest


def run_hash(settings: Settings, data_digest: str) -> str:
    """SHA-256 over the digests of a run's settings, sources and data.

    Two results with one run hash are the same experiment; device, threads and pack may differ and
    are in the record of the worker.
    """
    sources = source_digest(settings.objective, settings.likelihood)
    return digest_bytes(f"{settings.digest}\n{sources}\n{data_digest}".encode())
