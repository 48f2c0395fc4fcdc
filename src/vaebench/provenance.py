"""The hash that names a run: what it is, by which code, on which bytes."""

from pathlib import Path

from vaebench.data.prepared import data_digest
from vaebench.files import digest_bytes
from vaebench.layout import DATA
from vaebench.settings import Settings
from vaebench.sources import source_digest


def run_hash(settings: Settings, data: Path = DATA) -> str:
    """SHA-256 over the digests of a run's settings, sources and data.

    Args:
        settings: the run.
        data: the folder with `prepared/`, which tells the bytes of datasets without a registered
            digest.

    Two results with one run hash are the same experiment; device, threads and pack may differ and
    are in the record of the worker.

    Raises:
        UserError: what bytes the dataset has is known only once it is prepared, and it is not.
    """
    sources = source_digest(settings)
    return combine(settings.digest, sources, data_digest(data / "prepared", settings.dataset))


def combine(settings: str, sources: str, data: str) -> str:
    """The run hash that follows from these digests."""
    return digest_bytes(f"{settings}\n{sources}\n{data}".encode())
