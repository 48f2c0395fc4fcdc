"""Measures what of finished runs depends on the input, with records beside them."""

from functools import partial

from vaebench.data.prepared import load
from vaebench.dependence.completion import density_or_completion
from vaebench.dependence.method import measure
from vaebench.execution import measuring
from vaebench.execution.measuring import Outcome, Work, levels, open_run
from vaebench.experiment.dependence import DEPENDENCE_STATISTICS, DependencePlan
from vaebench.runs.dependence_record import Dependence
from vaebench.runs.measures import DEPENDENCE
from vaebench.runs.record import finite


def compute(work: Work[DependencePlan]) -> Outcome:
    """What of a run depends on the input.

    Raises:
        UserError: weights are missing or are not those that the record of the run names.
    """
    if work.divergence is not None:
        return Outcome({"dependence": None}, {}, work.device, work.divergence)
    density = density_or_completion(work.record, *open_run(work.run, work.record), work.device)
    images = load(work.data / "prepared", work.record.run.dataset)
    train, test = levels(images.train_images), levels(images.test_images)
    numbers, arrays = measure(density, train, test, work.plan)
    found = Dependence(
        images=min(work.plan.images, len(test)),
        log_volume=density.log_volume,
        statistics={
            name: finite(numbers[name]) for name in DEPENDENCE_STATISTICS if name in numbers
        },
    )
    text = (
        f"log p {numbers['log_p_is']:.2f} by draws of the encoder, {numbers['log_p_mc']:.2f} by "
        f"draws of the prior, {work.plan.draws} draws, {found.images} images"
    )
    return Outcome({"dependence": found}, arrays, density.device, text)


measure_runs = partial(measuring.measure_runs, DEPENDENCE, compute)
"""Measures what of runs depends on the input, see `measuring.measure_runs`."""
