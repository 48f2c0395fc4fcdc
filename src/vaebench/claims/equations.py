"""Statistics of the paper's equations, as they are measured on runs (`docs/equations.md`)."""

from dataclasses import replace
from typing import Literal, get_args

import pandas as pd

from vaebench.claims.needs import BAGGINS_SCALES, BERNOULLI, UNIT_T
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import Dim, NotMeasured, NotRun, Watched, by_seed, runs_of
from vaebench.errors import UserError
from vaebench.experiment.equations import EQUATION_STATISTICS, STATES, State
from vaebench.results.equations import equation_values

Runs = Literal["bernoulli", "gaussian", "baggins"]
OBJECTIVES = ("learned", "bilbo")


@statistic
def equation(
    results: Watched,
    name: str,
    n: Dim,
    runs: Runs = "bernoulli",
    objective: str = "",
    state: State = "trained",
) -> Values:
    """A statistic of an equation, measured on the networks of runs: a number for each seed.

    Args:
        results: the tier's results.
        name: the statistic, one of `EQUATION_STATISTICS`.
        n: low or high.
        runs: on which: those of Figs. 4 and 5, or the Gaussian with T = I, or BAGGINS, of unscaled
            data. There is a part for each objective that they have.
        objective: that of the only part. Empty for all.
        state: trained, refined (each image's best q) or initial (the untrained network).

    Raises:
        UserError: an argument is unknown.
        NotRun: the tier has no such runs, or measures no equations on them.
    """
    _check(results, name, state, runs)
    return {
        part: _values(results, rows, name, state).tolist()
        for part, rows in _parts(results, n, runs, objective).items()
    }


@statistic
def equation_violations(
    results: Watched,
    name: str,
    n: Dim,
    margin: float,
    runs: Runs = "bernoulli",
    objective: str = "",
) -> Values:
    """Whether an identity is off by more than rounding: 1 if it is, for each seed, else 0.

    Arguments and errors as in `equation`. NaN for a diverged run. A completed run is off, too, if
    its statistic is no finite number.
    """
    _check(results, name, "trained", runs)
    found: Values = {}
    for part, rows in _parts(results, n, runs, objective).items():
        values = _values(results, rows, name, "trained")
        diverged = by_seed(rows.assign(diverged=rows["status"] == "diverged"), "diverged")
        holds = values.abs() <= margin
        found[part] = (~holds).astype(float).where(diverged[values.index] == 0).tolist()
    return found


def _check(results: Watched, name: str, state: str, runs: str) -> None:
    for value, known in ((name, EQUATION_STATISTICS), (state, STATES), (runs, get_args(Runs))):
        if value not in known:
            raise UserError(f"equation: '{value}' is not one of: {', '.join(known)}")
    if all(experiment.equations_plan is None for experiment in results.tier.experiments):
        raise NotMeasured("the tier does not measure equations")


def _parts(results: Watched, n: Dim, runs: Runs, objective: str) -> dict[str, pd.DataFrame]:
    """The runs of each part of a claim."""
    if runs == "bernoulli":
        need, settings = BERNOULLI.having(objective=OBJECTIVES), {}
    else:
        # Unscaled data are enough here, and the paper's one objective; a tier may have more.
        need = UNIT_T if runs == "gaussian" else BAGGINS_SCALES
        apart = (need.apart or frozenset()) | {"objective"}
        need, settings = replace(need, varies=frozenset(), apart=apart), {"data_scale": 1.0}
    if objective:
        need = replace(need, has={}).having(objective=(objective,))
        return {"": runs_of(results, need, n, objective=objective, **settings)}
    rows = runs_of(results, need, n, **settings)
    found = [each for each in OBJECTIVES if (rows["objective"] == each).any()]
    if runs == "bernoulli" and len(found) < len(OBJECTIVES):
        raise NotRun(f"runs of {' and '.join(OBJECTIVES)} are needed; there are {', '.join(found)}")
    return {each if len(found) > 1 else "": rows[rows["objective"] == each] for each in found}


def _values(results: Watched, rows: pd.DataFrame, name: str, state: str) -> pd.Series:
    """The statistic by seed. NaN for a diverged run."""
    experiment = results.tier.experiment(str(rows["experiment"].iloc[0]))
    if experiment.equations_plan is None:
        raise NotMeasured(f"'{experiment.name}' does not measure equations")
    table = equation_values(results)
    own = table[(table["state"] == state) & (table["statistic"] == name)]
    wide = rows.merge(own[["experiment", "folder", "value"]], how="left")
    measured = wide["folder"].isin(own["folder"]) | (wide["status"] == "diverged")
    if not measured.any():
        raise NotRun(f"'{experiment.name}' has no {name} of {state} networks")
    return by_seed(wide[measured], "value")
