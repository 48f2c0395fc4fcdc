"""The hash of a run, which covers its settings, the code that decides its result, and its data."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from vaebench.data.prepared import data_digest
from vaebench.experiment.settings import Settings
from vaebench.files import digest_bytes
from vaebench.paths import DATA
from vaebench.runs.sources import accepted_sources, source_digest


def run_hash(settings: Settings, data: Path = DATA) -> str:
    """SHA-256 over the digests of a run's settings, this checkout's sources and the data.

    Two results with the same run hash are results of the same run. Device, threads and pack may
    differ. They are in the record of the worker.

    Args:
        settings: the settings of the run.
        data: the folder with `prepared/`. Datasets without a registered digest are read from it.

    Raises:
        UserError: the dataset has no registered digest and is not prepared.
    """
    dataset = data_digest(data / "prepared", settings.dataset)
    return combine(settings.digest, source_digest(settings), dataset)


def run_hashes(runs: Iterable[Settings], data: Path = DATA) -> Iterator[str]:
    """As `run_hash`, of each run in turn. Sources are read once for runs that share them.

    Raises:
        UserError: as `run_hash`.
    """
    sources: dict[tuple[str, str, str], str] = {}
    for run in runs:
        parts = (run.network, run.objective, run.likelihood)
        if parts not in sources:
            sources[parts] = source_digest(run)
        yield combine(run.digest, sources[parts], data_digest(data / "prepared", run.dataset))


def accepted_hashes(settings: Settings, data: Path = DATA) -> list[str]:
    """The hashes under which a run counts as current. This checkout's own hash is the first.

    The others are hashes with the sources of other code, which is attested to compute the same.

    Raises:
        UserError: as `run_hash`, or an attestation was changed after it was made.
    """
    dataset = data_digest(data / "prepared", settings.dataset)
    digest = settings.digest
    return [combine(digest, sources, dataset) for sources in accepted_sources(settings)]


def combine(settings: str, sources: str, data: str) -> str:
    """The run hash that follows from these digests."""
    return digest_bytes(f"{settings}\n{sources}\n{data}".encode())
