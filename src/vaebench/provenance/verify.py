"""Checks the files of a tier against its manifest, and that they follow from each other."""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

import pandas as pd

from vaebench.errors import UserError
from vaebench.experiment.tier import Tier, load_tier
from vaebench.files import digest_file
from vaebench.paths import Layout
from vaebench.provenance.account import read_comment, records_digest
from vaebench.provenance.expected import expected_files, run_folders, vector_graphics
from vaebench.provenance.figure_metadata import figure_metadata
from vaebench.provenance.manifest import listed_files, read_manifest
from vaebench.provenance.sense import problems_of
from vaebench.reading.packed import is_packed
from vaebench.reading.thin import is_copy_of, is_thin, whole_digest_of
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
    unproven: list[str] = field(default_factory=list)
    """A line for each result that differs from what this checkout's code makes of the same runs,
    or cannot be made by it, where other code made it."""
    weights_missing: int = 0
    thin: int = 0
    """The number of files without the arrays that nothing here needs, see `reading/thin.py`."""
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
    tier: Tier | None = None
    try:
        # It registers what the tier describes, which records name.
        tier = load_tier(layout.config)
    except UserError as error:
        found.problems.append(str(error))
    found.problems += _check_files(layout, manifest, tier)
    arrays = (layout.root / name for name in manifest.files if name.endswith(".npz"))
    found.thin = sum(path.is_file() and is_thin(path) for path in arrays)
    records = _read_runs(layout, found)
    found.runs = len(records)
    _check_weights(layout, manifest, found, need_weights)
    if tier is not None:
        found.problems += _check_expected(layout, tier, manifest)
    if found.problems or tier is None:
        return found  # The following checks would report the same problems again.
    planned = run_folders(tier)
    for name, record in records.items():
        found.problems += _check_run(layout, name, record, manifest)
        if record.run != planned[name].settings:
            found.problems.append(f"runs/{name}/metrics.json: of other settings than its place")
        for problem in problems_of(record):
            found.problems.append(f"runs/{name}/metrics.json: {problem}")
        basis = accepted_sources(record.run).get(record.digests.sources)
        if basis is None:
            found.other_sources.append(name)
        elif basis.level is not None:
            found.attested[basis.level] = found.attested.get(basis.level, 0) + 1
    if problems := list(_check_table(layout, records)):
        found.problems += problems
        return found
    for measure in MEASURES.values():
        found.problems += _check_measured(layout, records, measure)
    found.problems += _check_figures(layout, records)
    found.problems += _check_accounts(layout, tier)
    return found


def _check_files(layout: Layout, manifest: Manifest, tier: Tier | None) -> Iterator[str]:
    there = set(listed_files(layout))
    for name, digest in manifest.files.items():
        if name not in there:
            yield f"{layout.root / name}: missing"
        elif digest_file(layout.root / name) != digest:
            yield f"{layout.root / name}: changed"
    unlisted = there - set(manifest.files)
    wanted = set() if tier is None else expected_files(tier, layout)
    for name in sorted(unlisted & wanted):
        yield (
            f"{layout.root / name}: does not belong, the manifest does not list it: `snakemake "
            f"--cores all --configfile {quote(str(layout.config))}` brings the manifest up to date"
        )
    for name, remedy in _unasked(layout, tier, unlisted - wanted):
        yield f"{layout.root / name}: does not belong, the manifest does not list it: {remedy}"


def _check_expected(layout: Layout, tier: Tier, manifest: Manifest) -> Iterator[str]:
    """Check that the manifest lists what the config asks for, and nothing else."""
    if manifest.tier != tier.tier:
        yield (
            f"{layout.manifest}: of the tier '{manifest.tier}', and {layout.config} is of "
            f"'{tier.tier}'"
        )
    wanted, listed = expected_files(tier, layout), set(manifest.files)
    lacking = wanted - listed - set(listed_files(layout))
    if (vectors := vector_graphics(tier)) <= lacking and _has_packed_record(layout, manifest):
        lacking -= vectors
    for name in sorted(lacking):
        yield (
            f"{layout.root / name}: missing, and {layout.config} asks for it: `snakemake --cores "
            f"all --configfile {quote(str(layout.config))}` makes it"
        )
    for name, remedy in _unasked(layout, tier, listed - wanted):
        again = f"`vaebench manifest --tier {quote(str(layout.root))}`"
        yield f"{layout.root / name}: {layout.config} does not ask for it: {remedy}, then {again}"


def _has_packed_record(layout: Layout, manifest: Manifest) -> bool:
    """Whether a record is packed, as all are in thin copies, which have no vector graphics."""
    records = (layout.root / name for name in manifest.files if name.endswith("/metrics.json"))
    return any(is_packed(path.read_bytes()) for path in records if path.is_file())


def _unasked(layout: Layout, tier: Tier | None, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Files that the config does not ask for, those of a run as its folder, and what to do."""
    planned = {} if tier is None else run_folders(tier)
    for name in sorted({_whole_run(name, planned) for name in names}):
        paths = [layout.root / name]
        if name.startswith("runs/"):
            weights = layout.root / Path("weights", *Path(name).parts[1:])
            paths += [weights] if weights.is_dir() else []
        shown = " ".join(quote(str(path)) for path in paths)
        yield name, f"put it back into the config, or remove it with `rm -r {shown}`"


def _whole_run(name: str, planned: Collection[str]) -> str:
    """The folder of a run that is not planned, for any of its files; else the file itself."""
    kind, _, folder = Path(name).parent.as_posix().partition("/")
    return f"{kind}/{folder}" if kind == "runs" and folder not in planned else name


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


def _check_run(layout: Layout, name: str, record: RunRecord, manifest: Manifest) -> Iterator[str]:
    """Check that the record of a run fits its settings, sources, data, weights and arrays."""
    digests = record.digests
    place = f"runs/{name}/metrics.json"
    if digests.settings != record.run.digest:
        yield f"{place}: its settings do not have the digest that it names"
    if record.run_hash != combine(digests.settings, digests.sources, digests.data):
        yield f"{place}: its hash does not follow from its settings, sources and data"
    if not is_copy_of(layout.root / "runs" / name / "arrays.npz", digests.arrays):
        yield f"{place}: names other arrays than those beside it"
    if manifest.weights.get(f"weights/{name}/model.safetensors") != digests.weights:
        yield f"{place}: names other weights than the manifest"


def _check_table(layout: Layout, records: dict[str, RunRecord]) -> Iterator[str]:
    """Check that the collected table has these runs, and sample quality is of their weights."""
    try:
        rows = pd.read_parquet(layout.runs, columns=["experiment", "folder", "metrics_digest"])
    except Exception as error:  # `pyarrow` has many errors for a damaged file
        yield f"{layout.runs}: cannot be read ({error})"
        return
    collected = {
        f"{row['experiment']}/{row['folder']}": row["metrics_digest"] for _, row in rows.iterrows()
    }
    for name in sorted(set(collected) ^ set(records)):
        where = "is not in the collected table" if name in records else "has no record"
        yield f"{layout.root / 'runs' / name}: {where}"
    for name in sorted(set(collected) & set(records)):
        folder = layout.root / "runs" / name
        if whole_digest_of(folder / "metrics.json") != collected[name]:
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
            for problem in problems_of(measured):
                yield f"{folder / 'evaluation.json'}: {problem}"


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
        for problem in problems_of(measured):
            yield f"{path}: {problem}"
        if not is_copy_of(arrays, measured.arrays):
            yield f"{path}: names other arrays than those beside it"


def _check_figures(layout: Layout, records: dict[str, RunRecord]) -> Iterator[str]:
    """Check that each figure was drawn from the present runs of this tier."""
    known = {whole_digest_of(layout.root / "runs" / name / "metrics.json") for name in records}
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


def _check_accounts(layout: Layout, tier: Tier) -> Iterator[str]:
    """Check that tables and claims were made from the runs of the collected table."""
    rows = pd.read_parquet(layout.runs, columns=["experiment", "metrics_digest"])
    accounts = {
        layout.table(experiment.name, "md"): records_digest(
            rows.loc[rows["experiment"] == experiment.name, "metrics_digest"]
        )
        for experiment in tier.experiments
    }
    accounts[layout.claims("md")] = records_digest(rows["metrics_digest"])
    for path, records in accounts.items():
        if (
            read_comment(path.read_text(encoding="utf-8", errors="replace")).get("records")
            != records
        ):
            yield f"{path}: made from other runs than these"
    ledger = layout.claims("json")
    try:
        made_from = json.loads(ledger.read_text(encoding="utf-8"))["made_from"]["records"]
    except (ValueError, KeyError, TypeError, RecursionError):
        made_from = None
    if made_from != accounts[layout.claims("md")]:
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
