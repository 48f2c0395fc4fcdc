"""manifest.json of a tier: the digests of its files. It is written after all other files."""

from collections.abc import Collection, Iterator
from pathlib import Path

from vaebench.errors import UserError
from vaebench.experiment.tier import load_tier
from vaebench.files import digest_file, remove_leftovers, write_atomically
from vaebench.paths import Layout
from vaebench.provenance.expected import expected_files, run_folders
from vaebench.provenance.stages import code_digests
from vaebench.runs.environment import environment_digest
from vaebench.runs.record import Manifest, read_as, read_record

UNLISTED = frozenset({"logs", "benchmarks", "weights", "hashes.txt", "manifest.json", "owner.txt"})
"""Files in a tier's folder that the manifest does not list as results: logs, benchmarks of jobs,
the plan and the name of the config file. Weights are listed apart, with the digests in the records
of their runs, since the files may be missing."""


def write_manifest(layout: Layout, paper_values: Path) -> Path:
    """Write the digests of all files of a tier and of its weights.

    What the config does not ask for, such as a run of a seed that was removed from it, does not
    belong to the tier. First remove temporary files of killed writers. No other process may be
    writing then.
    """
    for folder in [layout.root, *(path for path in layout.root.rglob("*") if path.is_dir())]:
        remove_leftovers(folder)
    tier = load_tier(layout.config)
    wanted = expected_files(tier, layout)
    manifest = Manifest(
        code=code_digests(tier.figures),
        paper_values=digest_file(paper_values),
        tier=tier.tier,
        environment=environment_digest(),
        files={
            name: digest_file(layout.root / name) for name in listed_files(layout) if name in wanted
        },
        weights=dict(sorted(_weights(layout, run_folders(tier)))),
    )
    write_atomically(layout.manifest, manifest.to_json().encode())
    return layout.manifest


def read_manifest(layout: Layout) -> Manifest:
    """Read a tier's manifest.

    Raises:
        UserError: the manifest is missing or damaged.
    """
    if not layout.root.is_dir():
        raise UserError(f"{layout.root} is not a folder with the results of a tier")
    return read_as(Manifest, layout.manifest, "run the tier, which writes it last")


def listed_files(layout: Layout) -> list[str]:
    """The sorted paths of the files that a manifest can list, relative to the tier's folder."""
    return sorted(
        path.relative_to(layout.root).as_posix()
        for path in layout.root.rglob("*")
        if path.is_file() and path.relative_to(layout.root).parts[0] not in UNLISTED
    )


def _weights(layout: Layout, planned: Collection[str]) -> Iterator[tuple[str, str]]:
    """The path and the digest of the weights of each planned run. The files may be missing."""
    runs = layout.root / "runs"
    for metrics in runs.rglob("metrics.json"):
        if metrics.parent.relative_to(runs).as_posix() not in planned:
            continue
        experiment, *folders = metrics.parent.relative_to(runs).parts
        path = layout.weights(experiment, Path(*folders)).relative_to(layout.root)
        yield path.as_posix(), read_record(metrics).digests.weights
