"""Statistics of the evidence log p(x), as it is measured on runs (`docs/evidence.md`)."""

from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import Dim, NotMeasured, NotRun, Watched, by_seed, paired, runs_of
from vaebench.experiment.needs import Need
from vaebench.results.known_evidence import known_evidence

OBJECTIVES = Need("posterior_variance", alike=frozenset({"dataset", "likelihood"}))
"""Runs of several objectives. Those that are compared may differ in nothing but their seed."""


@statistic
def evidence_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Mean evidence log p(x) of test images under one objective minus that under another at the
    same seed, in nats.
    """
    return _difference(results, of, minus, n, "evidence_mean")


@statistic
def evidence_gap_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Mean gap between the evidence and the bound of the same test images, under one objective
    minus under another at the same seed, in nats.
    """
    return _difference(results, of, minus, n, "evidence_gap")


def _difference(results: Watched, of: str, minus: str, n: Dim, column: str) -> Values:
    """A column of the runs of two objectives, paired by seed.

    NaN stands for a run whose evidence is not known within `MOST_ERROR`.

    Raises:
        NotMeasured: the experiment does not ask for the evidence.
        NotRun: it is not measured yet.
    """
    if all(experiment.evidence_plan is None for experiment in results.tier.experiments):
        raise NotMeasured("the tier does not measure the evidence")
    need = OBJECTIVES.having(objective=(of, minus))
    sides = []
    for objective in (of, minus):
        rows = runs_of(results, need, n, objective=objective)
        experiment = results.tier.experiment(str(rows["experiment"].iloc[0]))
        if experiment.evidence_plan is None:
            raise NotMeasured(f"'{experiment.name}' does not measure the evidence")
        if column not in rows:
            raise NotRun(f"the evidence of '{experiment.name}' is not measured")
        known = rows[rows[column].notna() | (rows["status"] == "diverged")]
        if known.empty:
            raise NotRun(f"the evidence of '{experiment.name}' is not measured")
        known = known.assign(**{column: known_evidence(known, column)})
        sides.append(by_seed(known, column))
    return {"": paired(*sides)}
