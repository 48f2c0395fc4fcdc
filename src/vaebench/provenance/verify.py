"""Checks the files of a tier against its manifest, and that they follow from each other."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from vaebench.errors import UserError
from vaebench.experiment.tier import load_tier
from vaebench.files import digest_bytes, digest_file
from vaebench.paths import Layout
from vaebench.provenance.account import read_comment, records_digest
from vaebench.provenance.figure_metadata import figure_metadata
from vaebench.provenance.manifest import listed_files, read_manifest
from vaebench.runs.attestations import Level, check_attestations
from vaebench.runs.measurement import MeasurementRecord
from vaebench.runs.measures import MEASURES, Measure
from vaebench.runs.record import EvaluationRecord, Manifest, RunRecord, read_as, read_record
from vaebench.runs.run_hash import combine
from vaebench.runs.sources import accepted_sources


@dataclass
class Verification:
    """The result of a verification. The tier is whole if there are no problems."""

    manifest_digest: str
    """SHA-256 of manifest.json. Equal digests mean equal tiers."""
    files: int = 0
    runs: int = 0
    problems: list[str] = field(default_factory=list)
    """A line for each file that is changed, is missing, does not belong to the tier, or does not
    follow from the others."""
    weights_missing: int = 0
    other_sources: list[str] = field(default_factory=list)
    """Runs of other sources than this checkout's, without an attestation. This is not a problem
    of the tier itself."""
    attested: dict[Level, int] = field(default_factory=dict)
    """The number of runs that count as current by an attestation of each level."""


def verify(layout: Layout, need_weights: bool = False) -> Verification:
    """Check a tier offline: its files, and that each follows from the files that it names.

    Args:
        layout: the tier.
        need_weights: whether missing weights are a problem.

    Raises:
        UserError: the manifest is missing or damaged.
    """
    manifest = read_manifest(layout)
    found = Verification(digest_file(layout.manifest), files=len(manifest.files))
    found.problems += check_attestations()
    found.problems += _check_files(layout, manifest)
    with contextlib.suppress(UserError):
        load_tier(layout.config)  # registers what the tier describes, which records name
    records = _read_runs(layout, found)
    found.runs = len(records)
    _check_weights(layout, manifest, found, need_weights)
    if found.problems:
        return found  # The following checks would report the same problems again.
    for name, record in records.items():
        found.problems += _check_run(name, record, manifest)
        basis = accepted_sources(record.run).get(record.digests.sources)
        if basis is None:
            found.other_sources.append(name)
        elif basis.level is not None:
            found.attested[basis.level] = found.attested.get(basis.level, 0) + 1
    found.problems += _check_table(layout, records)
    for measure in MEASURES.values():
        found.problems += _check_measured(layout, records, measure)
    found.problems += _check_figures(layout, records)
    found.problems += _check_accounts(layout)
    return found


def _check_files(layout: Layout, manifest: Manifest) -> Iterator[str]:
    there = set(listed_files(layout))
    for name, digest in manifest.files.items():
        if name not in there:
            yield f"{layout.root / name}: missing"
        elif digest_file(layout.root / name) != digest:
            yield f"{layout.root / name}: changed"
    for name in sorted(there - set(manifest.files)):
        yield f"{layout.root / name}: does not belong, the manifest does not list it"


def _check_weights(
    layout: Layout, manifest: Manifest, found: Verification, need_weights: bool
) -> None:
    folder = layout.root / "weights"
    there = {p.relative_to(layout.root).as_posix() for p in folder.rglob("*") if p.is_file()}
    for name, digest in manifest.weights.items():
        path = layout.root / name
        if name not in there:
            found.weights_missing += 1
            if need_weights:
                found.problems.append(f"{path}: missing")
        elif digest_file(path) != digest:
            found.problems.append(f"{path}: changed")
    for name in sorted(there - set(manifest.weights)):
        found.problems.append(f"{layout.root / name}: does not belong to any run")


def _read_runs(layout: Layout, found: Verification) -> dict[str, RunRecord]:
    """The records of all runs, by their folder below runs/."""
    records = {}
    runs = layout.root / "runs"
    for path in sorted(runs.rglob("metrics.json")):
        name = path.parent.relative_to(runs).as_posix()
        try:
            records[name] = read_record(path)
        except UserError as error:
            found.problems.append(str(error))
    return records


def _check_run(name: str, record: RunRecord, manifest: Manifest) -> Iterator[str]:
    """Check that the record of a run fits its settings, sources, data, weights and arrays."""
    digests = record.digests
    place = f"runs/{name}/metrics.json"
    if digests.settings != record.run.digest:
        yield f"{place}: its settings do not have the digest that it names"
    if record.run_hash != combine(digests.settings, digests.sources, digests.data):
        yield f"{place}: its hash does not follow from its settings, sources and data"
    if manifest.files.get(f"runs/{name}/arrays.npz") != digests.arrays:
        yield f"{place}: names other arrays than those beside it"
    if manifest.weights.get(f"weights/{name}/model.safetensors") != digests.weights:
        yield f"{place}: names other weights than the manifest"


def _check_table(layout: Layout, records: dict[str, RunRecord]) -> Iterator[str]:
    """Check that the collected table has these runs, and sample quality is of their weights."""
    rows = pd.read_parquet(layout.runs)
    collected = {
        f"{row['experiment']}/{row['folder']}": row["metrics_digest"] for _, row in rows.iterrows()
    }
    for name in sorted(set(collected) ^ set(records)):
        where = "is not in the collected table" if name in records else "has no record"
        yield f"{layout.root / 'runs' / name}: {where}"
    for name in sorted(set(collected) & set(records)):
        folder = layout.root / "runs" / name
        if digest_file(folder / "metrics.json") != collected[name]:
            yield f"{folder / 'metrics.json'}: not the record that the table was collected from"
        if (folder / "evaluation.json").exists():
            try:
                measured = read_as(EvaluationRecord, folder / "evaluation.json", "measure it again")
            except UserError as error:
                yield str(error)
                continue
            record = records[name]
            if (measured.run_hash, measured.weights) != (record.run_hash, record.digests.weights):
                yield f"{folder / 'evaluation.json'}: measured on another run"


def _check_measured(
    layout: Layout, records: dict[str, RunRecord], measure: Measure[MeasurementRecord]
) -> Iterator[str]:
    """Check that what was measured is of these runs' weights, and has the arrays that it names."""
    for name, record in sorted(records.items()):
        arrays, path = (layout.root / "runs" / name / file for file in measure.files)
        if not path.exists():
            continue
        try:
            measured = read_as(measure.record, path, "measure it again")
        except UserError as error:
            yield str(error)
            continue
        if (measured.run_hash, measured.weights) != (record.run_hash, record.digests.weights):
            yield f"{path}: measured on another run"
        if not arrays.exists() or digest_file(arrays) != measured.arrays:
            yield f"{path}: names other arrays than those beside it"


def _check_figures(layout: Layout, records: dict[str, RunRecord]) -> Iterator[str]:
    """Check that each figure was drawn from the present runs of this tier."""
    known = {
        digest_bytes((layout.root / "runs" / name / "metrics.json").read_bytes())
        for name in records
    }
    arrays = {record.digests.arrays for record in records.values()}
    for path in sorted((layout.root / "figures").glob("*")):
        if path.suffix not in (".svg", ".png"):
            continue
        try:
            used = figure_metadata(path)
        except UserError as error:
            yield str(error)
            continue
        if not set(used["Records"].split()) <= known or not set(used["Arrays"].split()) <= arrays:
            yield f"{path}: drawn from runs that are not these"


def _check_accounts(layout: Layout) -> Iterator[str]:
    """Check that tables and claims were made from the runs of the collected table."""
    rows = pd.read_parquet(layout.runs)
    accounts = {
        layout.table(experiment.name, "md"): records_digest(
            rows.loc[rows["experiment"] == experiment.name, "metrics_digest"]
        )
        for experiment in load_tier(layout.config).experiments
    }
    accounts[layout.claims("md")] = records_digest(rows["metrics_digest"])
    for path, records in accounts.items():
        if read_comment(path.read_text("utf-8")).get("records") != records:
            yield f"{path}: made from other runs than these"
    ledger = layout.claims("json")
    made_from = json.loads(ledger.read_text("utf-8")).get("made_from", {})
    if made_from.get("records") != accounts[layout.claims("md")]:
        yield f"{ledger}: made from other runs than these"


def find_tiers(root: Path) -> list[Layout]:
    """The tiers in a folder: the folder itself, or all folders below it that have a manifest.

    Raises:
        UserError: there is no manifest.
    """
    if (root / "manifest.json").exists():
        return [Layout(root)]
    tiers = [
        Layout(path.parent)
        for path in sorted(root.glob("**/manifest.json"))
        # A killed import leaves a hidden folder, which is not a tier.
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]
    if not tiers:
        raise UserError(f"{root} has no manifest.json: a tier writes it when everything is made")
    return tiers
