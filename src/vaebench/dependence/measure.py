"""Measures finished runs from their weights, and writes the records beside them."""

from collections.abc import Sequence
from pathlib import Path

import torch

from vaebench.data.prepared import load
from vaebench.dependence.completion import density_or_completion
from vaebench.dependence.method import measure
from vaebench.errors import UserError
from vaebench.evaluation.arrays import to_npz
from vaebench.evidence.measure import EvidenceTarget, open_run
from vaebench.execution.device import describe_device
from vaebench.experiment.dependence import DEPENDENCE_STATISTICS, DependencePlan
from vaebench.files import digest_bytes, digest_file, write_atomically
from vaebench.progress import log
from vaebench.runs.dependence_record import Dependence, DependenceRecord
from vaebench.runs.record import RunRecord, finite, read_as, read_record
from vaebench.runs.sources import dependence_digest
from vaebench.runs.store import DEPENDENCE, has_run, keep_files, run_folder

ARRAYS, RECORD = DEPENDENCE


def measure_runs(
    targets: Sequence[EvidenceTarget],
    plan: DependencePlan,
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
                for name in DEPENDENCE:
                    write_atomically(target.folder / name, (kept / name).read_bytes())
                continue
        _measure(target, record, plan, data, device)
        if store is not None and has_run(store, record.run_hash):
            keep_files(store, record.run_hash, target.folder, DEPENDENCE)


def is_measured(folder: Path, record: RunRecord, plan: DependencePlan) -> bool:
    """Whether a folder has what is measured of a run, by this code and this plan."""
    try:
        found = read_as(DependenceRecord, folder / RECORD, "")
    except UserError:
        return False
    arrays = folder / ARRAYS
    if not arrays.exists() or digest_file(arrays) != found.arrays:
        return False
    return (found.run_hash, found.weights, found.sources, found.plan) == (
        *(record.run_hash, record.digests.weights, dependence_digest(), plan),
    )


def _measure(
    target: EvidenceTarget,
    record: RunRecord,
    plan: DependencePlan,
    data: Path,
    device: torch.device,
) -> None:
    dependence, content, where = None, to_npz({}), device
    if record.status == "completed":
        density = density_or_completion(record, *open_run(target, record), device)
        prepared, where = load(data / "prepared", record.run.dataset), density.device
        train, test = (
            torch.from_numpy(images.reshape(len(images), -1))
            for images in (prepared.train_images, prepared.test_images)
        )
        found, arrays = measure(density, train, test, plan)
        dependence = Dependence(
            images=min(plan.images, len(test)),
            log_volume=density.log_volume,
            statistics={
                name: finite(found[name]) for name in DEPENDENCE_STATISTICS if name in found
            },
        )
        content = to_npz(arrays)
    written = DependenceRecord.model_validate(
        {
            "run_hash": record.run_hash,
            "weights": record.digests.weights,
            "data": record.digests.data,
            "sources": dependence_digest(),
            "arrays": digest_bytes(content),
            "plan": plan,
            "device": where.type,
            "processor": describe_device(where),
            "dependence": dependence,
        }
    )
    write_atomically(target.folder / ARRAYS, content)
    write_atomically(target.folder / RECORD, written.to_json().encode())
    if dependence is not None:
        numbers = dependence.statistics
        log.info(
            f"[dependence] {target.folder}: log p {numbers['log_p_is']:.2f} by draws of the "
            f"encoder, {numbers['log_p_mc']:.2f} by draws of the prior, {plan.draws} draws, "
            f"{dependence.images} images"
        )
