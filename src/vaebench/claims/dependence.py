"""Statistics of what depends on the input, as it is measured on runs."""

import pandas as pd

from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import Dim, NotMeasured, NotRun, Watched, by_seed, paired, runs_of
from vaebench.errors import UserError
from vaebench.experiment.dependence import DEPENDENCE_STATISTICS
from vaebench.experiment.needs import Need


@statistic
def dependence(
    results: Watched, name: str, objective: str, n: Dim | None = None, minus: float = 0.0
) -> Values:
    """A number of `DEPENDENCE_STATISTICS` under one objective, minus a given number, for each seed.

    Args:
        results: the tier's results.
        name: of the statistic.
        objective: of the runs.
        n: low or high. None for an experiment with a single latent dimension.
        minus: such as a printed value.

    Raises:
        UserError: there is no such statistic.
        NotRun: the tier has no such runs, or does not measure it on them.
    """
    values = _values(results, name, objective, n)
    return {"": [value - minus for value in values]}


@statistic
def dependence_difference(
    results: Watched, name: str, of: str, minus: str, n: Dim | None = None
) -> Values:
    """A number of `DEPENDENCE_STATISTICS` under one objective minus that under another at the same
    seed.

    Arguments and errors as in `dependence`.
    """
    return {"": paired(_values(results, name, of, n), _values(results, name, minus, n))}


def _values(results: Watched, name: str, objective: str, n: Dim | None) -> "pd.Series[float]":
    """The column of the runs of an objective, by seed. NaN for a diverged run."""
    if name not in DEPENDENCE_STATISTICS:
        known = ", ".join(DEPENDENCE_STATISTICS)
        raise UserError(f"'{name}' is no statistic of dependence; known: {known}")
    if all(experiment.dependence_plan is None for experiment in results.tier.experiments):
        raise NotMeasured("the tier does not measure what depends on the input")
    need = Need("", apart=frozenset({"objective", "latent_dim"})).having(objective=(objective,))
    rows = runs_of(results, need, n, objective=objective)
    experiment = results.tier.experiment(str(rows["experiment"].iloc[0]))
    column = f"dependence_{name}"
    if experiment.dependence_plan is None:
        raise NotMeasured(f"'{experiment.name}' does not measure what depends on the input")
    known_rows = rows[rows["status"] == "diverged"]
    if column in rows:
        known_rows = rows[rows[column].notna() | (rows["status"] == "diverged")]
    if known_rows.empty:
        raise NotRun(f"{name} of '{experiment.name}' is not measured")
    return by_seed(known_rows.assign(**{column: known_rows.get(column, float("nan"))}), column)
