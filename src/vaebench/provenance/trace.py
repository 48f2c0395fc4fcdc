"""Describes the origin of a result: its runs, and their settings, data, commit and device."""

from pathlib import Path

from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.experiment.tier import load_tier
from vaebench.files import digest_file
from vaebench.paths import Layout
from vaebench.plain_text import plural
from vaebench.provenance.figure_metadata import figure_metadata
from vaebench.provenance.stages import figure_digest
from vaebench.reading.tables import read_table
from vaebench.runs.record import RunRecord, read_record
from vaebench.runs.sources import accepted_sources


def explain(path: Path) -> str:
    """Describe the origin of a file below results/<tier>/.

    Raises:
        UserError: the file is missing, or is in no tier's folder.
    """
    layout = tier_of(path)
    kind = path.resolve().relative_to(layout.root.resolve()).parts[0]
    load_tier(layout.config)  # registers what the tier describes, which records name
    lines = [f"{path}", f"  sha256 {digest_file(path)}", f"  tier {layout.root}"]
    rows = read_table(layout.runs, "collect the runs again")
    if kind == "figures" and path.suffix in (".svg", ".png"):
        used = figure_metadata(path)
        lines.append(f"  {used['Title']}")
        same = used["Code"] == figure_digest(path.stem)
        lines.append(f"  drawn by code {_short(used['Code'])}{_this_checkouts(same)}")
        rows = rows[rows["metrics_digest"].isin(used["Records"].split())]
        lines.append(f"  shows {plural(len(rows), 'run')}:" if len(rows) else "  shows no run")
    elif kind == "runs":
        own = path.parent.resolve().relative_to((layout.root / "runs").resolve())
        rows = rows[(rows["experiment"] + "/" + rows["folder"]) == own.as_posix()]
        lines.append("  belongs to the run:")
    elif kind == "tables":
        rows = rows[rows["experiment"] == path.stem]
        lines.append(f"  from the {plural(len(rows), 'run')} of the experiment:")
    else:
        lines.append(
            f"  from all {plural(len(rows), 'run')} of the tier, collected in {layout.runs}:"
        )
    for _, row in rows.iterrows():
        lines += _run_lines(layout, str(row["experiment"]), str(row["folder"]))
    return "\n".join(lines)


def tier_of(path: Path) -> Layout:
    """The tier that a file belongs to.

    Raises:
        UserError: the file is missing, or is in no tier's folder.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing")
    for folder in path.resolve().parents:
        if (folder / "runs.parquet").exists():
            return Layout(folder)
    raise UserError(f"{path} is not in the folder of a tier: there is no runs.parquet above it")


def run_facts(record: RunRecord, basis: str) -> dict[str, str]:
    """What a run was made from, in words.

    Args:
        record: of the run.
        basis: the relation of its sources to those of this checkout, in words.
    """
    worker, digests = record.worker, record.digests
    changes = {True: ", with changes", False: "", None: ""}[worker.dirty]
    libraries = ", ".join(f"{name} {version}" for name, version in worker.libraries.items())
    slurm = ", ".join(f"{name} {value}" for name, value in worker.slurm.items())
    return {
        "run": f"{_short(record.run_hash)} {record.status}, {_settings(record)}",
        "weights": _short(digests.weights),
        "sources": f"{_short(digests.sources)}{basis}",
        "data": f"{_short(digests.data)} {record.run.dataset}: "
        f"{DATASETS[record.run.dataset].description}",
        "commit": f"{_short(worker.commit or 'unknown')}{changes}",
        "device": f"{worker.device}, {worker.processor}, {worker.threads} threads, "
        f"{worker.packed_runs} runs packed{', ' + slurm if slurm else ''}",
        "software": f"Python {worker.python}, {libraries}; "
        f"environment {_short(digests.environment or 'none')}",
    }


def _run_lines(layout: Layout, experiment: str, folder: str) -> list[str]:
    record = read_record(layout.run(experiment, folder) / "metrics.json")
    facts = run_facts(record, _sources_basis(record))
    is_here = layout.weights(experiment, folder).exists()
    facts["weights"] += " here" if is_here else " not here"
    return [f"    {experiment}/{folder}", *(f"      {k:8} {v}" for k, v in facts.items())]


def _settings(record: RunRecord) -> str:
    return ", ".join(f"{name} {value}" for name, value in record.run.given().items())


def _sources_basis(record: RunRecord) -> str:
    """The relation of the sources that trained a run to those of this checkout."""
    basis = accepted_sources(record.run).get(record.digests.sources)
    if basis is None or basis.level is None:
        return _this_checkouts(basis is not None)
    return attested_text(basis.level)


def attested_text(level: str) -> str:
    """What is said of sources that count as this checkout's by an attestation."""
    return f" (attested to compute the same as this checkout's: {level})"


def _this_checkouts(same: bool) -> str:
    return " (this checkout's)" if same else " (other than this checkout's)"


def _short(digest: str) -> str:
    return digest[:12]
