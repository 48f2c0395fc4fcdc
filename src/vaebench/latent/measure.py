"""Measures the aggregated posterior of finished runs, and writes the records beside them."""

from collections.abc import Sequence
from pathlib import Path

import torch

from vaebench.data.prepared import load
from vaebench.errors import UserError
from vaebench.evaluation.arrays import to_npz
from vaebench.evidence.measure import EvidenceTarget, open_density
from vaebench.execution.device import describe_device
from vaebench.experiment.latent import LatentPlan
from vaebench.files import digest_bytes, digest_file, write_atomically
from vaebench.latent.method import Named, Sources, measure
from vaebench.progress import log
from vaebench.runs.latent_record import LatentRecord
from vaebench.runs.record import RunRecord, read_as, read_record
from vaebench.runs.sources import latent_digest
from vaebench.runs.store import LATENT, has_run, keep_files, run_folder

ARRAYS, RECORD = LATENT


def measure_runs(
    targets: Sequence[EvidenceTarget],
    plan: LatentPlan,
    data: Path,
    device: torch.device,
    store: Path,
    keep: bool = True,
) -> None:
    """Measure each run. Runs that are measured in this way already are skipped.

    Args:
        targets: runs of any datasets.
        plan: how.
        data: the folder with `prepared/`.
        device: where to compute.
        store: the store of finished runs. It also keeps the classifiers of datasets.
        keep: whether the store also keeps what is measured.

    Raises:
        UserError: weights are missing or are not those that the record of the run names.
    """
    for target in targets:
        record = read_record(target.folder / "metrics.json")
        if is_measured(target.folder, record, plan):
            continue
        kept = run_folder(store, record.run_hash)
        if is_measured(kept, record, plan):
            for name in LATENT:
                write_atomically(target.folder / name, (kept / name).read_bytes())
            continue
        _measure(target, record, plan, data, device, store)
        if keep and has_run(store, record.run_hash):
            keep_files(store, record.run_hash, target.folder, LATENT)


def is_measured(folder: Path, record: RunRecord, plan: LatentPlan) -> bool:
    """Whether a folder has the latent.json of a run, by this code and this plan."""
    try:
        found = read_as(LatentRecord, folder / RECORD, "")
    except UserError:
        return False
    arrays = folder / ARRAYS
    if not arrays.exists() or digest_file(arrays) != found.arrays:
        return False
    return (found.run_hash, found.weights, found.sources, found.plan) == (
        *(record.run_hash, record.digests.weights, latent_digest(), plan),
    )


def _measure(
    target: EvidenceTarget,
    record: RunRecord,
    plan: LatentPlan,
    data: Path,
    device: torch.device,
    store: Path,
) -> None:
    latent, arrays, where = None, Named(), device
    if record.status == "completed":
        log.info(f"[latent] {target.folder}")
        density = open_density(target, record, device)
        where, dataset = density.device, record.run.dataset
        images = load(data / "prepared", dataset)
        latent, arrays = measure(density, Sources(dataset, data, store, images), plan)
    content = to_npz(arrays)
    written = LatentRecord.model_validate(
        {
            "run_hash": record.run_hash,
            "weights": record.digests.weights,
            "data": record.digests.data,
            "sources": latent_digest(),
            "arrays": digest_bytes(content),
            "plan": plan,
            "device": where.type,
            "processor": describe_device(where),
            "latent": latent,
        }
    )
    write_atomically(target.folder / ARRAYS, content)
    write_atomically(target.folder / RECORD, written.to_json().encode())
