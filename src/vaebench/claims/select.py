"""Selects the runs that a claim is about, and pairs them by seed."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from vaebench.experiment.settings import format_value
from vaebench.results.read import Results

Dim = Literal["low", "high"]
"""The paper's 2 and 100 latent dimensions. A tier may have another number in place of 100."""
LOW = 2


class NotRun(Exception):  # noqa: N818 - it stands for a verdict, not an error
    """The tier has no runs that could decide the claim. The text says which runs are missing."""


@dataclass(frozen=True)
class Watched(Results):
    """Results that record which runs a statistic selects."""

    used: list[pd.DataFrame] = field(default_factory=list)

    @staticmethod
    def of_results(results: Results) -> "Watched":
        """These results, with no runs selected yet."""
        return Watched(results.layout, results.tier, results.runs, results.history)


def runs_of(results: Watched, experiment: str, n: Dim | None, **settings: Any) -> pd.DataFrame:
    """The runs of an experiment with these settings, at the low or the high latent dimension.

    Args:
        results: the tier's results, which record the selection.
        experiment: the name of the experiment.
        n: low or high. None for an experiment with a single latent dimension.
        **settings: the values of settings.

    Raises:
        NotRun: there are no such runs.
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
    """The number of latent dimensions that a tier has as low or high.

    Raises:
        NotRun: it has no runs with such a number.
    """
    dims = [int(value) for value in results.runs["latent_dim"].unique()]
    if n == "low" and LOW in dims:
        return LOW
    if n == "high" and max(dims) > LOW:
        return max(dims)
    raise NotRun("the tier has no runs with 2 latent dimensions" if n == "low" else
                 "the tier has no runs with more than 2 latent dimensions")  # fmt: skip


def by_seed(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column indexed by seed. It is NaN for a diverged run.

    Raises:
        NotRun: several rows have the same seed, so that runs cannot be paired.
    """
    series = rows.set_index("seed")[column].astype(float).sort_index()
    if series.index.has_duplicates:
        raise NotRun("the runs differ in more than their seed")
    return series


def by_seed_and(rows: pd.DataFrame, axis: str, column: str) -> pd.DataFrame:
    """A column as a table with seeds as rows and the values of an axis as columns.

    Raises:
        NotRun: the axis has a single value, or the rows also differ in another axis.
    """
    if rows[axis].nunique() < 2:
        raise NotRun(f"{axis} has one value only")
    if rows.duplicated(["seed", axis]).any():
        raise NotRun(f"the runs differ in more than their seed and {axis}")
    table = rows.pivot(index="seed", columns=axis, values=column).astype(float)
    return table.sort_index().sort_index(axis=1)


def columns_of(table: pd.DataFrame) -> list[float]:
    """The values of the axis of such a table."""
    return [float(value) for value in table.columns.to_numpy(dtype=float)]


def paired(of: pd.Series, minus: pd.Series) -> list[float]:
    """The differences at the seeds that both series have.

    Raises:
        NotRun: they share no seed.
    """
    shared = of.index.intersection(minus.index)
    if shared.empty:
        raise NotRun("the runs share no seed")
    return [float(value) for value in of[shared] - minus[shared]]


def against(table: pd.DataFrame, reference: float, axis: str) -> dict[str, list[float]]:
    """Each column of such a table minus that of the reference value, by the name of the value.

    Raises:
        NotRun: the axis does not have the reference value.
    """
    if reference not in table:
        raise NotRun(f"no runs with {axis} {reference:g}")
    return {
        f"{axis} {format_value(value)}": paired(table[value], table[reference])
        for value in columns_of(table)
        if value != reference
    }


def best_of(table: pd.DataFrame) -> pd.Series:
    """The column with the smallest mean over seeds.

    It is the same column for all seeds. The minimum of each seed would be biased, since it would
    select noise. A column with a diverged run has no mean, so it is never selected.
    """
    means = table.mean(axis=0, skipna=False)
    if means.isna().all():
        return table.iloc[:, 0] * float("nan")
    return table[means.idxmin()]


def range_of(table: pd.DataFrame) -> pd.Series:
    """The largest minus the smallest value of each seed. NaN if a run diverged."""
    return table.max(axis=1, skipna=False) - table.min(axis=1, skipna=False)


def mean_over(rows: pd.DataFrame, values: "pd.Series[float]") -> list[float]:
    """The mean of `values` for each seed of the rows. NaN if a run diverged."""
    by = values.astype(float).groupby(rows["seed"])
    return by.apply(lambda group: group.mean(skipna=False)).sort_index().tolist()
