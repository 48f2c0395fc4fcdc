"""The account in tables and claims: digests of the runs and the code that they were made from."""

import re
from collections.abc import Iterable
from pathlib import Path

from vaebench.files import digest_bytes, digest_file


def account(records: Iterable[str], code: str, paper_values: Path) -> dict[str, str]:
    """The account of a table or of the ledger.

    Args:
        records: the digests of the records of the runs that it uses.
        code: the digest of the code that made it.
        paper_values: the path of config/paper_values.yaml.
    """
    return {
        "records": records_digest(records),
        "code": code,
        "paper_values": digest_file(paper_values),
    }


def records_digest(records: Iterable[str]) -> str:
    """One digest of several records. It does not depend on their order."""
    return digest_bytes("\n".join(sorted(records)).encode())


def as_comment(made_from: dict[str, str]) -> str:
    """An account as a comment for the last line of a Markdown file. It is not displayed."""
    return f"\n<!-- made from {' '.join(f'{k}={v}' for k, v in made_from.items())} -->\n"


def read_comment(text: str) -> dict[str, str]:
    """The account that `as_comment` wrote. Empty if the text has none."""
    found = re.search(r"<!-- made from (.*) -->\n\Z", text)
    pairs = found[1].split() if found else []
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
