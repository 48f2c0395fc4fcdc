"""Measures the evidence of finished runs from their weights, and writes its record beside them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from vaebench.data.prepared import load
from vaebench.errors import UserError
from vaebench.evaluation.arrays import to_npz
from vaebench.evidence.density import Density, density_of
from vaebench.evidence.kept import KeptBlocks
from vaebench.evidence.method import measure
from vaebench.execution.device import describe_device
from vaebench.experiment.evidence import EvidencePlan
from vaebench.files import digest_bytes, digest_file, write_atomically
from vaebench.progress import log
from vaebench.runs.evidence_record import EvidenceRecord
from vaebench.runs.record import RunRecord, read_as, read_record
from vaebench.runs.sources import evidence_digest
from vaebench.runs.store import (
    EVIDENCE,
    has_run,
    keep_files,
    locked,
    run_folder,
    unfinished_evidence,
)

ARRAYS, RECORD = EVIDENCE


@dataclass(frozen=True)
class EvidenceTarget:
    """A finished run whose evidence is wanted."""

    folder: Path
    """The folder with its metrics.json, where evidence.json and evidence.npz are written."""
    weights: Path
    """The path of its weights."""


def measure_runs(
    targets: Sequence[EvidenceTarget],
    plan: EvidencePlan,
    data: Path,
    device: torch.device,
    store: Path,
    keep: bool = True,
) -> None:
    """Measure the evidence of each run. Runs that are measured in this way already are skipped.

    Args:
        targets: runs of any datasets.
        plan: how.
        data: the folder with `prepared/`.
        device: where to compute.
        store: the store of finished runs. It also keeps finished blocks of measurements that were
            stopped.
        keep: whether the store also keeps the evidence, in place of one by another plan.

    Raises:
        UserError: weights are missing or are not those that the record of the run names, or the
            method of the plan is not possible.
    """
    for target in targets:
        record = read_record(target.folder / "metrics.json")
        key = _key(record, plan, device)
        with locked(store, [f"evidence-{key}"]):
            if is_measured(target.folder, record, plan):
                continue
            kept = run_folder(store, record.run_hash)
            if is_measured(kept, record, plan):
                for name in EVIDENCE:
                    write_atomically(target.folder / name, (kept / name).read_bytes())
                continue
            blocks = KeptBlocks(unfinished_evidence(store, key), f"evidence {target.folder}")
            _measure(target, record, plan, data, device, blocks)
            if keep and has_run(store, record.run_hash):
                keep_files(store, record.run_hash, target.folder, EVIDENCE)
            blocks.forget()


def is_measured(folder: Path, record: RunRecord, plan: EvidencePlan) -> bool:
    """Whether a folder has the evidence of a run, by this code and this plan."""
    try:
        found = read_as(EvidenceRecord, folder / RECORD, "")
    except UserError:
        return False
    arrays = folder / ARRAYS
    if not arrays.exists() or digest_file(arrays) != found.arrays:
        return False
    return (found.run_hash, found.weights, found.sources, found.plan) == (
        *(record.run_hash, record.digests.weights, evidence_digest(), plan),
    )


def open_density(target: EvidenceTarget, record: RunRecord, device: torch.device) -> Density:
    """The densities of a finished run.

    Raises:
        UserError: its weights or arrays are missing or changed, it diverged, or it is conditional.
    """
    record.run.refuse_conditional("what is measured with p(x|z)")
    return density_of(record, *open_run(target, record), device)


def open_run(
    target: EvidenceTarget, record: RunRecord
) -> tuple[dict[str, torch.Tensor], dict[str, NDArray[Any]]]:
    """The weights and the arrays of a finished run.

    Raises:
        UserError: they are missing or changed.
    """
    arrays = target.folder / "arrays.npz"
    for path, digest in (
        (target.weights, record.digests.weights),
        (arrays, record.digests.arrays),
    ):
        if not path.exists() or digest_file(path) != digest:
            raise UserError(
                f"{path} is missing or not the file that {target.folder / 'metrics.json'} names: "
                "this is measured from weights, so train the run again (runs in the store are only "
                "copied)"
            )
    with np.load(arrays, allow_pickle=False) as archive:
        return load_file(target.weights), {name: archive[name] for name in archive.files}


def _measure(
    target: EvidenceTarget,
    record: RunRecord,
    plan: EvidencePlan,
    data: Path,
    device: torch.device,
    blocks: KeptBlocks,
) -> None:
    evidence, content, where = None, to_npz({}), device
    if record.status == "completed":
        density = open_density(target, record, device)
        images = load(data / "prepared", record.run.dataset).test_images
        levels = torch.from_numpy(images.reshape(len(images), -1))
        where = density.device
        evidence, arrays = measure(density, levels, plan, blocks)
        content = to_npz(arrays)
    written = EvidenceRecord.model_validate(
        {
            "run_hash": record.run_hash,
            "weights": record.digests.weights,
            "data": record.digests.data,
            "sources": evidence_digest(),
            "arrays": digest_bytes(content),
            "plan": plan,
            "device": where.type,
            "processor": describe_device(where),
            "evidence": evidence,
        }
    )
    write_atomically(target.folder / ARRAYS, content)
    write_atomically(target.folder / RECORD, written.to_json().encode())
    if evidence is not None:
        log.info(
            f"[evidence] {target.folder}: log p(x) {evidence.log_p.mean:.2f}, "
            f"gap {evidence.gap.mean:.2f} nats, {evidence.images} images, {evidence.method}"
        )


def _key(record: RunRecord, plan: EvidencePlan, device: torch.device) -> str:
    """Names a measurement: equal keys give equal blocks."""
    parts = [record.run_hash, record.digests.weights, evidence_digest(), device.type]
    return digest_bytes(json.dumps([*parts, plan.model_dump()]).encode())
