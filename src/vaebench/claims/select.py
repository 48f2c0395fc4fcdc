"""Picking the runs that a claim speaks of."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from vaebench.experiment.settings import format_value
from vaebench.results.read import Results

Dim = Literal["low", "high"]
"""The paper's 2 and 100 latent dimensions; a tier may have another number in place of 100."""
LOW = 2


class NotRun(Exception):  # noqa: N818 - no error: a verdict
    """The tier has no runs that could decide the claim; says which are lacking."""


@dataclass(frozen=True)
class Watched(Results):
    """Results that note which runs a statistic picked."""

    used: list[pd.DataFrame] = field(default_factory=list)

    @staticmethod
    def of_results(results: Results) -> "Watched":
        """These results, with nothing picked yet."""
        return Watched(results.layout, results.tier, results.runs, results.history)


def runs_of(results: Watched, experiment: str, n: Dim | None, **settings: Any) -> pd.DataFrame:
    """The runs of an experiment with these settings, at the lower or the higher latent dimension.

    None stands for an experiment that has one latent dimension of its own.

    Raises:
        NotRun: there are none.
    """
    if experiment not in {e.name for e in results.tier.experiments}:
        raise NotRun(f"the tier has no experiment '{experiment}'")
    rows = results.of(experiment)
    if n is not None:
        rows = rows[rows["latent_dim"] == latent_dim(results, n)]
    for name, value in settings.items():
        rows = rows[rows[name] == value]
    if rows.empty:
        wanted = ", ".join(f"{name} {value}" for name, value in settings.items())
        dims = "" if n is None else f" with {n} n{', ' if wanted else ''}"
        raise NotRun(f"'{experiment}' has no runs{dims or ' with '}{wanted}")
    results.used.append(rows)
    return rows


def latent_dim(results: Results, n: Dim) -> int:
    """What a tier has as low or high latent dimension.

    Raises:
        NotRun: it has none.
    """
    dims = [int(value) for value in results.runs["latent_dim"].unique()]
    if n == "low" and LOW in dims:
        return LOW
    if n == "high" and max(dims) > LOW:
        return max(dims)
    raise NotRun("the tier has no runs with 2 latent dimensions" if n == "low" else
                 "the tier has no runs with more than 2 latent dimensions")  # fmt: skip


def by_seed(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column indexed by seed, for rows that have each seed once; NaN where a run diverged.

    Raises:
        NotRun: the rows differ in more than their seed, so that they cannot be paired.
    """
    series = rows.set_index("seed")[column].astype(float).sort_index()
    if series.index.has_duplicates:
        raise NotRun("the runs differ in more than their seed")
    return series


def by_seed_and(rows: pd.DataFrame, axis: str, column: str) -> pd.DataFrame:
    """A column as a table of seeds (rows) by the values of an axis (columns), for at least two.

    Raises:
        NotRun: the axis has one value only, or the rows differ in yet another one.
    """
    if rows[axis].nunique() < 2:
        raise NotRun(f"{axis} has one value only")
    if rows.duplicated(["seed", axis]).any():
        raise NotRun(f"the runs differ in more than their seed and {axis}")
    table = rows.pivot(index="seed", columns=axis, values=column).astype(float)
    return table.sort_index().sort_index(axis=1)


def columns_of(table: pd.DataFrame) -> list[float]:
    """The values on the axis of such a table."""
    return [float(value) for value in table.columns.to_numpy(dtype=float)]


def paired(of: pd.Series, minus: pd.Series) -> list[float]:
    """The differences over the seeds that both have.

    Raises:
        NotRun: they share no seed.
    """
    shared = of.index.intersection(minus.index)
    if shared.empty:
        raise NotRun("the runs share no seed")
    return [float(value) for value in of[shared] - minus[shared]]


def against(table: pd.DataFrame, reference: float, axis: str) -> dict[str, list[float]]:
    """Each column of a table of seeds minus the reference's, named by its value on the axis.

    Raises:
        NotRun: the reference is not on the axis.
    """
    if reference not in table:
        raise NotRun(f"no runs with {axis} {reference:g}")
    return {
        f"{axis} {format_value(value)}": paired(table[value], table[reference])
        for value in columns_of(table)
        if value != reference
    }


def best_of(table: pd.DataFrame) -> pd.Series:
    """The column with the smallest mean over seeds, the same for all seeds.

    The smallest of each seed would be smaller by chance alone. A column with a diverged run has no
    mean.
    """
    means = table.mean(axis=0, skipna=False)
    if means.isna().all():
        return table.iloc[:, 0] * float("nan")
    return table[means.idxmin()]


def range_of(table: pd.DataFrame) -> pd.Series:
    """Largest minus smallest value of each seed; NaN if a run diverged."""
    return table.max(axis=1, skipna=False) - table.min(axis=1, skipna=False)


def mean_over(rows: pd.DataFrame, values: "pd.Series[float]") -> list[float]:
    """The mean of `values` for each seed of the rows; NaN if a run diverged."""
    by = values.astype(float).groupby(rows["seed"])
    return by.apply(lambda group: group.mean(skipna=False)).sort_index().tolist()
