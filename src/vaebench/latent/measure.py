"""Measures the aggregated posterior of finished runs, with records beside them."""

from functools import partial

from vaebench.data.prepared import load
from vaebench.evidence.measure import open_density
from vaebench.execution import measuring
from vaebench.execution.measuring import Outcome, Work
from vaebench.experiment.latent import LatentPlan
from vaebench.latent.method import Sources, measure
from vaebench.progress import log
from vaebench.quality.metrics_import import import_metrics
from vaebench.runs.measures import LATENT


def compute(work: Work[LatentPlan]) -> Outcome:
    """The aggregated posterior of a run. The store also keeps the classifier of its dataset.

    Raises:
        UserError: weights are missing or are not those that the record of the run names.
    """
    if work.divergence is not None:
        return Outcome({"latent": None}, {}, work.device, work.divergence)
    log.info(f"[latent] {work.run.folder}")
    density, dataset = open_density(work.run, work.record, work.device), work.record.run.dataset
    images = load(work.data / "prepared", dataset)
    if work.plan.samples:
        import_metrics()
    found, arrays = measure(density, Sources(dataset, work.data, work.store, images), work.plan)
    return Outcome({"latent": found}, arrays, density.device, "measured")


measure_runs = partial(measuring.measure_runs, LATENT, compute)
"""Measures the aggregated posterior of runs, see `measuring.measure_runs`."""
