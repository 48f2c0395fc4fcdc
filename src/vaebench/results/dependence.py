"""The columns of the collected table about what depends on the input."""

from typing import Any

from vaebench.errors import UserError
from vaebench.experiment.dependence import DEPENDENCE_STATISTICS
from vaebench.experiment.grid import Experiment, Run
from vaebench.files import digest_file
from vaebench.paths import Layout
from vaebench.runs.dependence_record import Dependence, DependenceRecord
from vaebench.runs.record import RunRecord, read_as
from vaebench.runs.sources import dependence_digest


def dependence_of(
    layout: Layout, experiment: Experiment, run: Run, record: RunRecord
) -> dict[str, Any]:
    """The columns of a run, after a check that they are of these weights, this code and this plan.

    Raises:
        UserError: it is not measured, or otherwise. The text names the command that measures it.
    """
    remedy = (
        f"measure it with: vaebench dependence --tier {layout.config} "
        f"--experiment {experiment.name}"
    )
    path = layout.dependence(experiment.name, run.folder)
    found = read_as(DependenceRecord, path, remedy)
    arrays = path.with_suffix(".npz")
    agrees = {
        "run": found.run_hash == record.run_hash,
        "weights": found.weights == record.digests.weights,
        "data": found.data == record.digests.data,
        "sources": found.sources == dependence_digest(),
        "plan": found.plan == experiment.dependence_plan,
        "arrays": arrays.exists() and digest_file(arrays) == found.arrays,
    }
    if others := [name for name, same in agrees.items() if not same]:
        raise UserError(f"{path}: refused, made with other {', '.join(others)}; {remedy}")
    return dependence_columns(found.dependence)


def dependence_columns(found: Dependence | None) -> dict[str, Any]:
    """The columns, `dependence_` and the names of statistics; None for those that a run lacks."""
    values: dict[str, Any] = {"images": None} | dict.fromkeys(DEPENDENCE_STATISTICS)
    if found is not None:
        values |= {"images": found.images} | found.statistics
    return {f"dependence_{name}": value for name, value in values.items()}
