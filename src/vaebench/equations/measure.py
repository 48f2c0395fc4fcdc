"""Measures the equations on finished runs, with records beside them."""

from functools import partial
from typing import Any

import torch

from vaebench.data.prepared import load
from vaebench.equations.shown import arrays_of
from vaebench.equations.state import Found, Images, measure_state
from vaebench.equations.states import untrained
from vaebench.errors import UserError
from vaebench.evidence.measure import open_density
from vaebench.execution import measuring
from vaebench.execution.measuring import Outcome, Work, levels
from vaebench.experiment.equations import EquationsPlan
from vaebench.runs.equations_record import Equations
from vaebench.runs.measures import EQUATIONS
from vaebench.runs.record import RunRecord, finite


def compute(work: Work[EquationsPlan]) -> Outcome:
    """The equations on a run and on its initial weights, or why they cannot be measured.

    Raises:
        UserError: weights are missing or are not those that the record of the run names.
    """
    if work.divergence is not None:
        return _refused(work.divergence, work.device)
    record, plan = work.record, work.plan
    prepared = load(work.data / "prepared", record.run.dataset)
    images = Images(levels(prepared.train_images), levels(prepared.test_images))
    image_shape = prepared.test_images.shape[1:]
    density = open_density(work.run, record, work.device)
    try:
        trained = measure_state(density, images, plan, _settings(record), "trained")
        first = untrained(record.run, images.train, image_shape, density.device)
        initial = measure_state(first, images, plan, _settings(record), "initial")
    except UserError as error:
        return _refused(str(error), density.device)
    entries = {"equations": _equations(trained, initial, plan), "refused": None}
    arrays = arrays_of(density, images, trained, initial, image_shape)
    return Outcome(entries, arrays, density.device, "measured")


measure_runs = partial(measuring.measure_runs, EQUATIONS, compute)
"""Measures the equations on runs, see `measuring.measure_runs`."""


def _refused(reason: str, device: torch.device) -> Outcome:
    return Outcome({"equations": None, "refused": reason}, {}, device, reason)


def _settings(record: RunRecord) -> dict[str, Any]:
    given = record.run.given()
    return {name: given[name] for name in ("batch_size", "tau") if name in given}


def _equations(trained: Found, initial: Found, plan: EquationsPlan) -> Equations:
    images = len(trained.log_p)

    def numbers(values: dict[str, float]) -> dict[str, float | None]:
        return {name: finite(value) for name, value in values.items()}

    return Equations(
        images=images,
        refined_images=min(plan.refined, images),
        active_units=int(trained.active.sum()),
        trained=numbers(trained.statistics),
        refined=numbers(trained.refined),
        initial=numbers(initial.statistics),
        not_measured=trained.not_measured,
    )
