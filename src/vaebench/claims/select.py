"""Selects the runs that a claim is about, and pairs them by seed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, overload

import pandas as pd

from vaebench.experiment.grid import Experiment
from vaebench.experiment.needs import Need, find, planned_settings
from vaebench.experiment.settings import format_value
from vaebench.results.read import Results, select

Dim = Literal["low", "high"]
"""The paper's 2 and 100 latent dimensions. An experiment may have another number in place of 100:
its largest."""
LOW = 2


class NotRun(Exception):  # noqa: N818 - it stands for a verdict, not an error
    """There are no runs that could decide the claim. The text says which runs are missing."""


class NotPlanned(NotRun):
    """The tier's config has no runs that could decide the claim, so it does not bear on it."""


class NotMeasured(NotPlanned):
    """The tier does not ask for the measurement that the claim is about. No tier has to."""


@dataclass(frozen=True)
class Paired(Sequence[float]):
    """Differences at shared seeds. Both sides are kept, to tell what the pairing has brought."""

    of: tuple[float, ...]
    minus: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.of)

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> list[float]: ...
    def __getitem__(self, place: int | slice) -> float | list[float]:
        return [a - b for a, b in zip(self.of, self.minus, strict=True)][place]

    def __neg__(self) -> "Paired":
        return Paired(self.minus, self.of)


@dataclass(frozen=True)
class Watched(Results):
    """Results that record which runs a statistic selects."""

    used: list[pd.DataFrame] = field(default_factory=list)
    dims: dict[Dim, int] = field(default_factory=dict)
    """The numbers of latent dimensions that were low and high in what was selected."""
    only: str | None = None
    """The name of the experiment whose runs are selected. None for any that has them."""

    @staticmethod
    def of_results(results: Results, only: str | None = None) -> "Watched":
        """These results, with no runs selected yet."""
        return Watched(results.layout, results.tier, results.runs, results.history, only=only)


def runs_of(results: Watched, need: Need, n: Dim | None, **settings: Any) -> pd.DataFrame:
    """The runs with these settings of the experiment that has what is needed.

    Args:
        results: the tier's results, which record the selection.
        need: which experiments will do; see `experiment/needs.py` for the one that is taken.
        n: low or high. None for an experiment with a single latent dimension.
        **settings: the values of settings.

    Raises:
        NotRun: there are no such runs.
    """
    experiments = [e for e in results.tier.experiments if results.only in (None, e.name)]
    dims = {e.name: latent_dim(e, n) for e in experiments} if n else {}
    found = find(need, [e for e in experiments if not n or dims[e.name] is not None])
    if found is None:
        raise NotPlanned(f"the tier has no runs {need}{f', with {n} n' if n else ''}")
    name = found.experiment.name
    wanted = [f"{k} {v}" for k, v in {**need.settings, **settings}.items()]
    rows = results.selection(found).runs
    if n:
        dim = dims[name] or 0
        if results.dims.setdefault(n, dim) != dim:
            raise NotRun(f"'{name}' has another {n} n than other runs that are needed")
        rows = rows[rows["latent_dim"] == dim]
        wanted.insert(0, f"{n} n")
    rows = select(rows, **settings)
    if rows.empty:
        raise NotRun(f"'{name}' has no runs{' with ' if wanted else ''}{', '.join(wanted)}")
    results.used.append(rows)
    return rows


def latent_dim(experiment: Experiment, n: Dim) -> int | None:
    """The low or high number of latent dimensions of an experiment. None if it has none."""
    dims = {int(run["latent_dim"]) for run in planned_settings(experiment)}
    if n == "low":
        return LOW if LOW in dims else None
    return max(dims) if max(dims) > LOW else None


def by_seed(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column indexed by seed. It is NaN for a diverged run.

    Raises:
        NotRun: several rows have the same seed, so that runs cannot be paired.
    """
    series = rows.set_index("seed")[column].astype(float).sort_index()
    if series.index.has_duplicates:
        raise NotRun("the runs differ in more than their seed")
    return series


def by_seed_and(results: Watched, rows: pd.DataFrame, axis: str, column: str) -> pd.DataFrame:
    """A column as a table with seeds as rows and the values of an axis as columns.

    Seeds that lack a value are left out, since a part of a sweep decides nothing. NaN stands for a
    diverged run.

    Raises:
        NotRun: the axis has a single value, the rows also differ in another axis, a planned value
            of the axis was not run, or no seed has all values.
    """
    if rows[axis].nunique() < 2:
        raise NotRun(f"{axis} has one value only")
    if rows.duplicated(["seed", axis]).any():
        raise NotRun(f"the runs differ in more than their seed and {axis}")
    whole = of_whole_seeds(results, rows, axis)
    table = whole.pivot(index="seed", columns=axis, values=column).astype(float)
    return table.sort_index().sort_index(axis=1)


def of_whole_seeds(results: Watched, rows: pd.DataFrame, axis: str) -> pd.DataFrame:
    """The rows of those seeds that have runs with all values of an axis.

    Raises:
        NotRun: a planned value was not run, or no seed has all.
    """
    check_all_values(results, rows, axis)
    values = rows.groupby("seed")[axis].nunique()
    whole = values.index[values == rows[axis].nunique()]
    if whole.empty:
        raise NotRun(f"no seed has runs with all values of {axis}")
    return rows[rows["seed"].isin(whole)]


def check_all_values(results: Watched, rows: pd.DataFrame, axis: str) -> None:
    """Check that every planned value of an axis has a run, for claims about all of them.

    Raises:
        NotRun: one has none, so that the others alone would decide.
    """
    first = rows.iloc[0]
    names = [k for k in ("objective", "likelihood", "latent_dim") if k in rows]
    same = {name: first[name] for name in names}
    planned = results.planned(str(first["experiment"]), **same)[axis].unique()
    there = {float(value) for value in rows[axis]}
    if missing := [value for value in planned if float(value) not in there]:
        raise NotRun(
            f"no runs with {axis} {', '.join(format_value(float(value)) for value in missing)}"
        )


def columns_of(table: pd.DataFrame) -> list[float]:
    """The values of the axis of such a table."""
    return [float(value) for value in table.columns.to_numpy(dtype=float)]


def paired(of: pd.Series, minus: pd.Series) -> Paired:
    """The differences at the seeds that both series have.

    Raises:
        NotRun: they share no seed.
    """
    shared = of.index.intersection(minus.index)
    if shared.empty:
        raise NotRun("the runs share no seed")
    return Paired(*(tuple(map(float, series[shared])) for series in (of, minus)))


def against(table: pd.DataFrame, reference: float, axis: str) -> dict[str, Paired]:
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


def mean_over(rows: pd.DataFrame, axis: str, values: "pd.Series[float]") -> dict[str, list[float]]:
    """The mean of `values` over an axis for each seed, by the values of the axis that were run.

    Seeds that lack one of these are left out, since means over other values are other numbers. NaN
    stands for a diverged run.

    Raises:
        NotRun: no seed has all of them.
    """
    table = rows.assign(value=values.astype(float)).pivot(
        index="seed", columns=axis, values="value"
    )
    there = rows.groupby("seed")[axis].nunique()
    whole = table.loc[there.index[there == len(table.columns)]]
    if whole.empty:
        raise NotRun(f"no seed has runs with all values of {axis}")
    name = ", ".join(format_value(value) for value in columns_of(table))
    return {f"{axis} {name}": whole.mean(axis=1, skipna=False).sort_index().tolist()}
