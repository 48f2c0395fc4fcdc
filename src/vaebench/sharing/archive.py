"""A tier in one archive, for those who share without DVC: written, checked, unpacked, adopted.

An archive is a tar file whose first member is the tier's manifest; every other member is a file
that the manifest names, and is believed only if it has the digest given there.
"""

import os
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.experiment.tier import load_tier
from vaebench.files import digest_bytes, write_atomically
from vaebench.paths import Layout
from vaebench.provenance.manifest import read_manifest
from vaebench.runs.record import Manifest, read_record
from vaebench.sharing.adopt import adopt_runs, check_whole
from vaebench.workflow.rules import datasets

LARGEST_FILE = 256 * 1024**2
"""No file of a tier is nearly as large; a member that says it is, is refused unread."""
MANIFEST = "manifest.json"


def export_tier(layout: Layout, out: Path, weights: bool) -> Path:
    """Pack a tier into the archive `out`, and return its path.

    Args:
        layout: a tier that is whole.
        out: the archive's path.
        weights: whether to pack the weights too.

    Raises:
        UserError: the tier is not whole, or weights are asked for and are not here.
    """
    check_whole(layout, need_weights=weights)
    manifest = read_manifest(layout)
    names = [MANIFEST, *manifest.files, *(manifest.weights if weights else [])]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        packed = Path(folder) / "archive"
        with tarfile.open(packed, "w") as archive:
            for name in names:
                with (layout.root / name).open("rb") as file:
                    archive.addfile(_header(name, layout.root / name), file)
        os.replace(packed, out)
    return out


def publish_tier(layout: Layout, folder: Path, weights: bool) -> Path:
    """Write what an archive would hold as a folder, such as results/published/paper.

    Args:
        layout: a tier that is whole.
        folder: where to; an older one there is replaced.
        weights: whether to write the weights too.

    Raises:
        UserError: the tier is not whole or shows images that may not be published, or the folder
            holds something else than a tier, or a tier with runs that this one lacks and still
            plans.
    """
    private = [name for name in datasets(load_tier(layout.config)) if not DATASETS[name].is_public]
    if private:
        raise UserError(
            f"{layout.root} shows images of {', '.join(private)}, which may not be published: a "
            "folder is meant for git. If the images of a dataset in a config may be published, set "
            "`public: true` there"
        )
    check_whole(layout, need_weights=weights)
    if folder.exists() and not (folder / MANIFEST).exists():
        raise UserError(f"{folder} exists, and is not a tier: move it away first")
    if folder.exists() and (lost := _lost(Layout(folder), layout)):
        raise UserError(
            f"{folder} has {len(lost)} runs that {layout.root} lacks, such as {lost[0]}: move "
            f"{layout.root} away, `vaebench import {folder}`, and run the tier again (runs in the "
            "store are not trained again)"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".publish.") as scratch:
        fresh = Layout(Path(scratch) / "tier")
        _copy(layout, fresh, weights)
        if folder.exists():
            os.replace(folder, Path(scratch) / "old")
        os.replace(fresh.root, folder)
    return folder


def import_tier(archive: Path, results: Path, store: Path) -> Layout:
    """Check an archive, unpack it below `results`, and put its runs into the store.

    Nothing is in place before everything is checked.

    Args:
        archive: its file, or a folder with what an archive holds.
        results: the folder of tiers.
        store: the store of finished runs.

    Returns:
        The tier.

    Raises:
        UserError: the archive is damaged, holds what it should not, or a tier of that name with
            other content is there already.
    """
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=results, prefix=".import.") as folder:
        unpacked = Layout(Path(folder) / "tier")
        if archive.is_dir():
            manifest = _copy(Layout(archive), unpacked, weights=True)
        else:
            manifest = _unpack(archive, unpacked)
        check_whole(unpacked)
        target = Layout(results / manifest.tier)
        if target.root.exists() and _differs(target, unpacked):
            raise UserError(
                f"{target.root} exists already, and is another tier than that of the archive: "
                "move it away first"
            )
        adopt_runs(unpacked, store)
        if target.root.exists():
            shutil.copytree(unpacked.root, target.root, dirs_exist_ok=True)
        else:
            os.replace(unpacked.root, target.root)
    return target


def _header(name: str, path: Path) -> tarfile.TarInfo:
    """Of a file that anyone may read; no date, owner or other trace of this machine."""
    header = tarfile.TarInfo(name)
    header.size = path.stat().st_size
    header.mode = 0o644
    return header


def _unpack(archive: Path, layout: Layout) -> Manifest:
    """Write every member below `layout`, each checked before it is written."""
    try:
        with tarfile.open(archive, mode="r|") as members:
            manifest: Manifest | None = None
            seen: set[str] = set()
            for member in members:
                content = _read(members, member)
                if manifest is None:
                    if member.name != MANIFEST:
                        raise UserError(
                            f"{archive} is not the archive of a tier: it has no manifest first"
                        )
                    write_atomically(layout.manifest, content)
                    manifest = read_manifest(layout)
                    continue
                if member.name in seen:
                    raise UserError(f"{archive} is refused: it holds {member.name} twice")
                seen.add(member.name)
                _write(archive, layout, manifest, member.name, content)
    except (tarfile.TarError, EOFError) as error:
        raise UserError(f"{archive} is damaged or cut off ({error})") from None
    if manifest is None:
        raise UserError(f"{archive} is empty")
    return manifest


def _copy(there: Layout, layout: Layout, weights: bool) -> Manifest:
    """Copy what the manifest of a tier names, of the weights those that are there, if any."""
    manifest = read_manifest(there)
    found = [name for name in manifest.weights if weights and (there.root / name).exists()]
    for name in [MANIFEST, *manifest.files, *found]:
        if not (there.root / name).is_file():
            raise UserError(f"{there.root / name} is missing")
        target = layout.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(there.root / name, target)
    return manifest


def _read(members: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    name = PurePosixPath(member.name)
    if not member.isfile() or name.is_absolute() or ".." in name.parts:
        raise UserError(
            f"the archive is refused: {member.name!r} is not a plain file inside the tier"
        )
    if member.size > LARGEST_FILE:
        raise UserError(f"the archive is refused: {member.name} has {member.size} bytes")
    file = members.extractfile(member)
    content = b"" if file is None else file.read()
    if len(content) != member.size:
        raise UserError(f"the archive is cut off in {member.name}")
    return content


def _write(archive: Path, layout: Layout, manifest: Manifest, name: str, content: bytes) -> None:
    wanted = manifest.files.get(name) or manifest.weights.get(name)
    if wanted is None:
        raise UserError(f"{archive} is refused: its manifest does not name {name}")
    if digest_bytes(content) != wanted:
        raise UserError(f"{archive} is refused: {name} does not have the digest of the manifest")
    write_atomically(layout.root / name, content)


def _lost(published: Layout, layout: Layout) -> list[str]:
    """The records of published runs that a tier plans and lacks, by their paths in its folder.

    A run may have another place than before, and one that is no longer planned may go.
    """
    planned = {run.settings.digest for _, run in load_tier(layout.config).runs}
    before, now = _runs(published), _runs(layout)
    return sorted(before[digest] for digest in before.keys() & planned - now.keys())


def _runs(layout: Layout) -> dict[str, str]:
    """The records of a tier's runs by the digest of their settings, each with its path."""
    names = [name for name in read_manifest(layout).files if name.endswith("metrics.json")]
    return {read_record(layout.root / name).digests.settings: name for name in names}


def _differs(there: Layout, unpacked: Layout) -> bool:
    """Whether a folder is another tier; one that snakemake has only planned is none yet."""
    if there.manifest.exists():
        return there.manifest.read_bytes() != unpacked.manifest.read_bytes()
    files = {path for path in there.root.rglob("*") if path.is_file()}
    return not files <= {there.config, there.hashes}
