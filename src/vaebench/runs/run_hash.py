"""The hash that names a run: its settings, the code that decides its result, and its data."""

from pathlib import Path

from vaebench.data.prepared import data_digest
from vaebench.experiment.settings import Settings
from vaebench.files import digest_bytes
from vaebench.paths import DATA
from vaebench.runs.sources import accepted_sources, source_digest


def run_hash(settings: Settings, data: Path = DATA) -> str:
    """SHA-256 over the digests of a run's settings, this checkout's sources and the data.

    Two results with one run hash are the same experiment. Device, threads and pack may differ; they
    are in the record of the worker.

    Args:
        settings: the run.
        data: the folder with `prepared/`. It tells the bytes of datasets that have no registered
            digest.

    Raises:
        UserError: the bytes of the dataset are known only once it is prepared, and it is not.
    """
    dataset = data_digest(data / "prepared", settings.dataset)
    return combine(settings.digest, source_digest(settings), dataset)


def accepted_hashes(settings: Settings, data: Path = DATA) -> list[str]:
    """The hashes under which a run counts as current, this checkout's own first.

    The others are of runs that were trained by code which is attested to compute the same. Raises
    what `run_hash` raises.
    """
    dataset = data_digest(data / "prepared", settings.dataset)
    return [combine(settings.digest, sources, dataset) for sources in accepted_sources(settings)]


def combine(settings: str, sources: str, data: str) -> str:
    """The run hash that follows from these digests."""
    return digest_bytes(f"{settings}\n{sources}\n{data}".encode())
