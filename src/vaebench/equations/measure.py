"""Measures the equations on finished runs, and writes the records beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from vaebench.data.prepared import load
from vaebench.equations.shown import arrays_of
from vaebench.equations.state import Found, Images, measure_state
from vaebench.equations.states import untrained
from vaebench.errors import UserError
from vaebench.evaluation.arrays import to_npz
from vaebench.evidence.measure import EvidenceTarget, open_density
from vaebench.execution.device import describe_device
from vaebench.experiment.equations import EquationsPlan
from vaebench.files import digest_bytes, digest_file, write_atomically
from vaebench.progress import log
from vaebench.runs.equations_record import Equations, EquationsRecord
from vaebench.runs.record import RunRecord, finite, read_as, read_record
from vaebench.runs.sources import equations_digest
from vaebench.runs.store import EQUATIONS, has_run, keep_files, run_folder

ARRAYS, RECORD = EQUATIONS


def measure_runs(
    targets: Sequence[EvidenceTarget],
    plan: EquationsPlan,
    data: Path,
    device: torch.device,
    store: Path | None,
) -> None:
    """Measure each run. Runs that are measured in this way already are skipped.

    Args:
        targets: runs of any datasets.
        plan: how.
        data: the folder with `prepared/`.
        device: where to compute.
        store: the store of finished runs, which also keeps what is measured on them.

    Raises:
        UserError: weights are missing or are not those that the record of the run names.
    """
    for target in targets:
        record = read_record(target.folder / "metrics.json")
        if is_measured(target.folder, record, plan):
            continue
        if store is not None:
            kept = run_folder(store, record.run_hash)
            if is_measured(kept, record, plan):
                for name in EQUATIONS:
                    write_atomically(target.folder / name, (kept / name).read_bytes())
                continue
        _measure(target, record, plan, data, device)
        if store is not None and has_run(store, record.run_hash):
            keep_files(store, record.run_hash, target.folder, EQUATIONS)


def is_measured(folder: Path, record: RunRecord, plan: EquationsPlan) -> bool:
    """Whether a folder has the equations of a run, by this code and this plan."""
    try:
        found = read_as(EquationsRecord, folder / RECORD, "")
    except UserError:
        return False
    arrays = folder / ARRAYS
    if not arrays.exists() or digest_file(arrays) != found.arrays:
        return False
    return (found.run_hash, found.weights, found.sources, found.plan) == (
        *(record.run_hash, record.digests.weights, equations_digest(), plan),
    )


def _measure(
    target: EvidenceTarget,
    record: RunRecord,
    plan: EquationsPlan,
    data: Path,
    device: torch.device,
) -> None:
    equations, refused, arrays = None, None, {}
    if record.status != "completed":
        refused = f"the run diverged at step {record.diverged_step}"
    else:
        prepared = load(data / "prepared", record.run.dataset)
        train, test = (
            torch.from_numpy(images.reshape(len(images), -1))
            for images in (prepared.train_images, prepared.test_images)
        )
        images, image_shape = Images(train, test), prepared.test_images.shape[1:]
        density = open_density(target, record, device)
        try:
            trained = measure_state(density, images, plan, _settings(record), "trained")
            first = untrained(record.run, train, image_shape, device)
            initial = measure_state(first, images, plan, _settings(record), "initial")
        except UserError as error:
            refused = str(error)
        else:
            equations = _equations(trained, initial, plan)
            arrays = arrays_of(density, images, trained, initial, image_shape)
    content = to_npz(arrays)
    written = EquationsRecord.model_validate(
        {
            "run_hash": record.run_hash,
            "weights": record.digests.weights,
            "data": record.digests.data,
            "sources": equations_digest(),
            "arrays": digest_bytes(content),
            "plan": plan,
            "device": device.type,
            "processor": describe_device(device),
            "equations": equations,
            "refused": refused,
        }
    )
    write_atomically(target.folder / ARRAYS, content)
    write_atomically(target.folder / RECORD, written.to_json().encode())
    log.info(f"[equations] {target.folder}: {refused or 'measured'}")


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
