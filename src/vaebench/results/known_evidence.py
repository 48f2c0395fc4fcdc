"""Which estimates of the evidence are good enough to be compared."""

import pandas as pd

MOST_ERROR = 1.0
"""In nats. Annealing gives a lower bound. Where the bracket of simulated images is wider than this,
the bound may lie far below log p(x), and a comparison would measure the estimator."""


def known_evidence(rows: pd.DataFrame, column: str = "evidence_mean") -> "pd.Series[float]":
    """A column about the evidence. NaN where the error of its method is above `MOST_ERROR`."""
    error = rows["evidence_error"].astype(float).abs()
    values: pd.Series[float] = rows[column].astype(float)
    return values.where(~(error > MOST_ERROR))


def by_seed(rows: pd.DataFrame) -> "pd.Series[float]":
    """The evidence of runs that differ in their seed, by seed. NaN if it is not known."""
    known: pd.Series[float] = rows.assign(known=known_evidence(rows)).set_index("seed")["known"]
    return known
