"""The hash that names a run, and what is written into tables and claims of what made them."""

import re
from collections.abc import Iterable
from pathlib import Path

from vaebench.data.prepared import data_digest
from vaebench.files import digest_bytes, digest_file
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


def account(records: Iterable[str], code: str, paper_values: Path) -> dict[str, str]:
    """What a table or the ledger was made from.

    Args:
        records: the digests of the records of the runs that it uses.
        code: of the code that made it.
        paper_values: config/paper_values.yaml.
    """
    return {
        "records": records_digest(records),
        "code": code,
        "paper_values": digest_file(paper_values),
    }


def records_digest(records: Iterable[str]) -> str:
    """One digest of several records, in whatever order."""
    return digest_bytes("\n".join(sorted(records)).encode())


def as_comment(made_from: dict[str, str]) -> str:
    """An account as the last line of a Markdown file, which shows none of it."""
    return f"\n<!-- made from {' '.join(f'{k}={v}' for k, v in made_from.items())} -->\n"


def read_comment(text: str) -> dict[str, str]:
    """The account that `as_comment` wrote; empty where there is none."""
    found = re.search(r"<!-- made from (.*) -->\n\Z", text)
    pairs = found[1].split() if found else []
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
