"""Adopts a tier that another clone made, so that it counts as made by this one.

A tier is refused if it is not whole, or if other sources or settings made its runs.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from vaebench.errors import UserError
from vaebench.experiment.tier import Tier, find_tier, load_tier
from vaebench.files import digest_file, write_atomically
from vaebench.paths import TABLE_FORMATS, Layout
from vaebench.progress import log
from vaebench.provenance.manifest import read_manifest
from vaebench.provenance.stages import code_digests
from vaebench.provenance.verify import verify
from vaebench.reading.packed import unpack
from vaebench.reading.thin import is_copy_of, is_thin, whole_digest_of
from vaebench.runs.finished import AS_IT_IS, FINISHED_ONLY, is_partial
from vaebench.runs.record import Manifest, RunRecord, read_record
from vaebench.runs.sources import accepted_quality
from vaebench.runs.store import (
    EVALUATION,
    MEASURED,
    STAGED,
    WEIGHTS,
    FinishedRun,
    has_run,
    has_weights,
    keep_files,
    locked,
    put_run,
    run_folder,
)
from vaebench.verification.whole import verify_whole
from vaebench.workflow.rules import note_plan

SHOWN = 5
"""The number of problems that an error lists. It counts the others."""


def adopt_runs(layout: Layout, store: Path) -> int:
    """Put the runs of a tier into the store. Runs without weights are included.

    What the store has stays as it is. To a run that it has, only files are added that it lacks and
    that are of the same weights.

    Returns:
        The number of runs that were not in the store before.
    """
    runs, new, other = layout.root / "runs", 0, 0
    for path in sorted(runs.rglob("metrics.json")):
        record = read_record(path)
        experiment, *folders = path.parent.relative_to(runs).parts
        weights = layout.weights(experiment, Path(*folders))
        content = weights.read_bytes() if weights.exists() else None
        # Locks are named as in training, which may work on this run now.
        with locked(store, [record.digests.settings]):
            if (run_folder(store, record.run_hash) / STAGED).exists():
                continue  # A training here has all but ended.
            if not has_run(store, record.run_hash):
                arrays = (path.parent / "arrays.npz").read_bytes()
                written = unpack(path.read_bytes())
                put_run(store, FinishedRun(record, arrays, content, written))
                new += 1
            other += _add_to_run(store, record, path.parent, content)
    if other:
        log.info(
            f"{other} measures or runs of {layout.root} are not those that the store has, which "
            "keeps its own"
        )
    return new


def _add_to_run(store: Path, record: RunRecord, folder: Path, weights: bytes | None) -> int:
    """Add what a stored run lacks; returns how many of its files here are other than the stored."""
    stored = run_folder(store, record.run_hash)
    there = read_record(stored / "metrics.json")
    if there.digests.weights != record.digests.weights:
        return 1  # A run of the same hash on another machine: nothing here is of its weights.
    if weights is not None and not has_weights(store, record.run_hash):
        write_atomically(stored / WEIGHTS, weights)
    other = 0
    for arrays in ("arrays.npz", *(names[0] for names in MEASURED.values())):
        _complete(folder / arrays, stored / arrays)
    for names in ((EVALUATION,), *MEASURED.values()):
        if not all((folder / name).exists() for name in names):
            continue
        if not (stored / names[-1]).exists():  # The record, which is written last.
            keep_files(store, record.run_hash, folder, names)
        else:
            other += any(_differ(folder / name, stored / name) for name in names)
    return other


def _complete(path: Path, stored: Path) -> None:
    """Put the whole of a file in place of its thin copy in the store, if `path` is the whole."""
    if not path.exists() or not stored.exists():
        return
    if is_thin(stored) and digest_file(path) == whole_digest_of(stored):
        write_atomically(stored, path.read_bytes())


def _differ(one: Path, other: Path) -> bool:
    return not is_copy_of(other, whole_digest_of(one))


def check_whole(layout: Layout, need_weights: bool = False) -> None:
    """Check a tier against its manifest, and that its results are what its records give.

    Args:
        layout: the tier.
        need_weights: whether missing weights are a problem.

    Raises:
        UserError: a file is changed, is missing or does not belong to the tier. The text names it.
    """
    if problems := verify_whole(layout, need_weights).problems:
        raise UserError(f"{layout.root} has problems:\n{_listed(problems)}")


def check_current(layout: Layout, configs: Path) -> None:
    """Check that this checkout would make the same runs.

    Args:
        layout: a whole tier.
        configs: the folder of the config files.

    Raises:
        UserError: other sources or settings made the tier's runs. The text says how to proceed.
    """
    stale = verify(layout).other_sources
    if stale:
        record = read_record(layout.root / "runs" / stale[0] / "metrics.json")
        made = record.worker.commit or "unknown"
        raise UserError(
            f"{layout.root} is stale: other sources than this checkout's made {len(stale)} of its "
            f"runs (commit {made[:12]}):\n{_listed(stale)}\n"
            "Check out that commit, or train them again with snakemake"
        )
    tier = load_tier(layout.config)
    wanted = configs / find_tier(tier.tier).name
    if wanted.exists() and _runs(load_tier(wanted)) != _runs(tier):
        raise UserError(
            f"{layout.root} is stale: {wanted} asks for other runs or figures than its config.yaml"
        )


def mark_current(layout: Layout, paper_values: Path) -> list[str]:
    """Tell Snakemake that a whole and current tier is up to date.

    Snakemake does not know the files of a received tier, so it would make everything again. Results
    such as figures, which other code than this checkout's made from the runs, are removed, so that
    they are made again.

    Returns:
        The kinds of results that are to be made again: names of figures, `tables` and so on.
    """
    tier = load_tier(layout.config)
    if tier.tier != layout.root.name:
        raise UserError(f"{layout.config} is the config of another tier, '{tier.tier}'")
    note_plan(tier, layout)
    now = time.time()
    for path in layout.root.rglob("*"):
        if path.is_file():
            os.utime(path, (now, now))
    command = [
        *(sys.executable, "-m", "snakemake", "--touch", "--forceall", "--cores", "1", "--quiet"),
        *("--configfile", str(layout.config)),
    ]
    environment = {**os.environ, FINISHED_ONLY: AS_IT_IS if is_partial(layout) else "0"}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)
    if done.returncode != 0:
        raise UserError(f"snakemake could not adopt {layout.root}:\n{done.stderr.strip()}")
    for path in (layout.root / "logs").rglob("*.log"):
        if path.stat().st_size == 0:
            path.unlink()  # `--touch` creates empty logs, although no job ran.
    outdated = _outdated(tier, read_manifest(layout), paper_values)
    for kind in outdated:
        for path in _files(layout, kind):
            path.unlink(missing_ok=True)
    if outdated:
        log.info(
            f"{layout.root}: other code made these, so they will be made again: "
            f"{', '.join(outdated)}"
        )
    return outdated


def _outdated(tier: Tier, manifest: Manifest, paper_values: Path) -> list[str]:
    current = code_digests(tier.figures)
    kinds = [kind for kind, digest in current.items() if manifest.code.get(kind) != digest]
    if manifest.code.get("quality") in accepted_quality():
        kinds = [kind for kind in kinds if kind != "quality"]
    if manifest.paper_values != digest_file(paper_values):
        kinds += [kind for kind in ("tables", "claims") if kind not in kinds]
    return kinds


def _files(layout: Layout, kind: str) -> Iterator[Path]:
    match kind:
        case "collect":
            yield from (layout.runs, layout.history, layout.equation_values)
        case "quality":
            yield from (layout.root / "runs").rglob("evaluation.json")
            yield from (layout.root / "classifiers").rglob("classifier.json")
        case measured if measured in MEASURED:
            for name in MEASURED[measured]:
                yield from (layout.root / "runs").rglob(name)
        case "tables":
            yield from (layout.root / "tables").glob("*")
            yield from map(layout.equation_table, TABLE_FORMATS)
        case "claims":
            yield from (layout.claims("json"), layout.claims("md"))
        case "report":
            yield layout.report
        case figure:
            yield from (layout.root / "figures").glob(f"{figure}.*")


def _runs(tier: Tier) -> tuple[object, ...]:
    """The parts of a tier that decide its results, without `execution`."""
    return tier.tier, tier.experiments, tier.figures


def _listed(lines: list[str]) -> str:
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join(f"  {line}" for line in [*lines[:SHOWN], *more])
