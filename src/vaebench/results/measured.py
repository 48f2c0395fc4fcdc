"""Checks what is measured on the weights of a run before it is collected."""

from typing import TypeVar

from vaebench.experiment.grid import Experiment, Run
from vaebench.paths import Layout
from vaebench.runs.measurement import MeasurementRecord
from vaebench.runs.measures import Measure
from vaebench.runs.record import RunRecord

R = TypeVar("R", bound=MeasurementRecord)


def checked(
    measure: Measure[R], layout: Layout, experiment: Experiment, run: Run, record: RunRecord
) -> R:
    """The record of a measure, after a check that it is of these weights, this code and this plan.

    Raises:
        UserError: the run is not measured, or otherwise. The text names the command that measures.
    """
    remedy = (
        f"measure it with: vaebench {measure.name} --tier {layout.config} "
        f"--experiment {experiment.name}"
    )
    folder = layout.run(experiment.name, run.folder)
    return measure.read(folder, record, experiment.plans.get(measure.name), remedy)
