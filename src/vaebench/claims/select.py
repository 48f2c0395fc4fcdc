"""Picking the runs that a claim speaks of."""

from typing import Any, Literal

import pandas as pd

from vaebench.claims import NotRun
from vaebench.results import Results

Dim = Literal["low", "high"]


def runs_of(results: Results, experiment: str, n: Dim, **settings: Any) -> pd.DataFrame:
    """The runs of an experiment with these settings, at the lower or the higher latent dimension.

    Raises:
        NotRun: there are none.
    """
    if experiment not in {e.name for e in results.tier.experiments}:
        raise NotRun(f"the tier has no experiment '{experiment}'")
    rows = results.of(experiment)
    rows = rows[rows["latent_dim"] == latent_dim(results, n)]
    for name, value in settings.items():
        rows = rows[rows[name] == value]
    if rows.empty:
        wanted = ", ".join(f"{name} {value}" for name, value in settings.items())
        raise NotRun(f"'{experiment}' has no runs with {n} n{', ' if wanted else ''}{wanted}")
    return rows


def latent_dim(results: Results, n: Dim) -> int:
    """The paper's 2 or 100, or what a tier has in their place.

    Raises:
        NotRun: `high` in a tier with one latent dimension.
    """
    dims = sorted(int(value) for value in results.runs["latent_dim"].unique())
    if n == "high" and len(dims) == 1:
        raise NotRun("the tier has one latent dimension only")
    return dims[0] if n == "low" else dims[-1]


def by_seed(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column indexed by seed, for rows that have each seed once; NaN where a run diverged."""
    return rows.set_index("seed")[column].astype(float).sort_index()


def by_seed_and(rows: pd.DataFrame, axis: str, column: str) -> pd.DataFrame:
    """A column as a table of seeds (rows) by the values of an axis (columns).

    Raises:
        NotRun: the axis has one value only, so that nothing can be compared.
    """
    table = rows.pivot(index="seed", columns=axis, values=column).astype(float)
    if table.shape[1] < 2:
        raise NotRun(f"{axis} has one value only")
    return table.sort_index().sort_index(axis=1)


def paired(of: pd.Series, minus: pd.Series) -> list[float]:
    """The differences over the seeds that both have.

    Raises:
        NotRun: they share no seed.
    """
    shared = of.index.intersection(minus.index)
    if shared.empty:
        raise NotRun("the runs share no seed")
    return [float(value) for value in of[shared] - minus[shared]]
