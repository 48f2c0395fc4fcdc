"""Text that tables and pages share."""

import re

import pandas as pd

_SPECIAL = re.compile(r"[\\`*\[\]<>|~$&]|(?<!\w)_|_(?!\w)")
"""What Markdown takes as markup wherever it stands; `_` inside a word is only itself."""
_STARTS = re.compile(r"^(\d*)([-+.)]|#+)(?=\s)")
"""What Markdown takes as a list or a heading at the start of a line."""


def escape(text: str) -> str:
    """Text on one line that Markdown shows as it is, in a paragraph as in a cell of a table."""
    line = _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))
    return _STARTS.sub(r"\1\\\2", line)


def attested_counts(runs: pd.DataFrame) -> dict[str, int]:
    """How many runs count as current by an attestation of each level; a run is counted once."""
    once = runs.drop_duplicates("run_hash")
    counts = {level: int((once["attested"] == level).sum()) for level in ("bits", "rounding")}
    return {level: count for level, count in counts.items() if count}
