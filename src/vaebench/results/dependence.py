"""The columns of the collected table about what depends on the input."""

from typing import Any

from vaebench.experiment.dependence import DEPENDENCE_STATISTICS
from vaebench.experiment.grid import Experiment, Run
from vaebench.paths import Layout
from vaebench.results.measured import checked
from vaebench.runs.dependence_record import Dependence
from vaebench.runs.measures import DEPENDENCE
from vaebench.runs.record import RunRecord


def dependence_of(
    layout: Layout, experiment: Experiment, run: Run, record: RunRecord
) -> dict[str, Any]:
    """The columns of a run, after a check that they are of these weights, this code and this plan.

    Raises:
        UserError: it is not measured, or otherwise. The text names the command that measures it.
    """
    found = checked(DEPENDENCE, layout, experiment, run, record)
    return dependence_columns(found.dependence)


def dependence_columns(found: Dependence | None) -> dict[str, Any]:
    """The columns, `dependence_` and the names of statistics; None for those that a run lacks."""
    values: dict[str, Any] = {"images": None} | dict.fromkeys(DEPENDENCE_STATISTICS)
    if found is not None:
        values |= {"images": found.images} | found.statistics
    return {f"dependence_{name}": value for name, value in values.items()}
