"""What is written into tables and claims: which runs and which code they were made from."""

import re
from collections.abc import Iterable
from pathlib import Path

from vaebench.files import digest_bytes, digest_file


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
