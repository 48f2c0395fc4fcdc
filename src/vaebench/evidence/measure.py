"""Measures the evidence of finished runs from their weights, with records beside them."""

from functools import partial

import torch

from vaebench.data.prepared import load
from vaebench.evidence.density import Density, density_of
from vaebench.evidence.kept import KeptBlocks
from vaebench.evidence.method import measure
from vaebench.execution import measuring
from vaebench.execution.measuring import Outcome, Work, levels, open_run
from vaebench.experiment.evidence import EvidencePlan
from vaebench.runs.measurement import RunFiles
from vaebench.runs.measures import EVIDENCE
from vaebench.runs.record import RunRecord


def compute(work: Work[EvidencePlan]) -> Outcome:
    """The evidence of a run. Its finished blocks are kept until it is complete.

    Raises:
        UserError: weights are missing or are not those that the record of the run names, or the
            method of the plan is not possible.
    """
    if work.divergence is not None:
        return Outcome({"evidence": None}, {}, work.device, work.divergence)
    density = open_density(work.run, work.record, work.device)
    images = levels(load(work.data / "prepared", work.record.run.dataset).test_images)
    blocks = KeptBlocks(work.unfinished, f"evidence {work.run.folder}")
    found, arrays = measure(density, images, work.plan, blocks)
    text = (
        f"log p(x) {found.log_p.mean:.2f}, gap {found.gap.mean:.2f} nats, {found.images} images, "
        f"{found.method}"
    )
    return Outcome({"evidence": found}, arrays, density.device, text)


def open_density(run: RunFiles, record: RunRecord, device: torch.device) -> Density:
    """The densities of a finished run.

    Raises:
        UserError: its weights or arrays are missing or changed, it diverged, or it is conditional.
    """
    record.run.refuse_conditional("what is measured with p(x|z)")
    return density_of(record, *open_run(run, record), device)


measure_runs = partial(measuring.measure_runs, EVIDENCE, compute)
"""Measures the evidence of runs, see `measuring.measure_runs`."""
