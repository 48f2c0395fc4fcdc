"""Text that tables and pages share."""

import pandas as pd


def attested_counts(runs: pd.DataFrame) -> dict[str, int]:
    """How many runs count as current by an attestation of each level; a run is counted once."""
    once = runs.drop_duplicates("run_hash")
    counts = {level: int((once["attested"] == level).sum()) for level in ("bits", "rounding")}
    return {level: count for level, count in counts.items() if count}
