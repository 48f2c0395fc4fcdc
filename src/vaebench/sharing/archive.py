"""A tier in one archive, for those who share without DVC: written, checked, moved in, adopted.

An archive is a tar file whose first member is the tier's manifest. Every other member is a file
that the manifest names, with the digest given there.
"""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.experiment.plugins import load_plugins
from vaebench.experiment.tier import load_tier
from vaebench.files import naming
from vaebench.paths import PUBLISHED, Layout
from vaebench.provenance.manifest import read_manifest
from vaebench.runs.record import Manifest, read_record
from vaebench.sharing.adopt import adopt_runs, check_whole
from vaebench.sharing.config import received_tier
from vaebench.sharing.move import importing, move_in
from vaebench.sharing.parse import check_contents
from vaebench.sharing.thin import thin_tier
from vaebench.sharing.unpack import MANIFEST, unpack
from vaebench.verification.whole import OF_PAPER
from vaebench.workflow.rules import datasets

RESERVED = frozenset({PUBLISHED.parent.name})
"""Folders in results/ that are no tier."""


def export_tier(layout: Layout, out: Path, weights: bool, thin: bool = False) -> Path:
    """Pack a tier into the archive `out`, and return its path.

    Args:
        layout: a tier that is whole.
        out: the archive's path.
        weights: whether to pack the weights too.
        thin: whether to leave out arrays that nothing in the tier needs, see `sharing/thin.py`.

    Raises:
        UserError: the tier is not whole, or weights are asked for and are not here.
    """
    check_whole(layout, need_weights=weights)
    out.parent.mkdir(parents=True, exist_ok=True)
    made = tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.")
    with _shared(layout, weights, thin) as layout, naming(out), made as folder:
        manifest = read_manifest(layout)
        names = [MANIFEST, *manifest.files, *(manifest.weights if weights else [])]
        packed = Path(folder) / "archive"
        with tarfile.open(packed, "w") as archive:
            for name in names:
                with (layout.root / name).open("rb") as file:
                    archive.addfile(_header(name, layout.root / name), file)
        os.replace(packed, out)
    return out


def publish_tier(layout: Layout, folder: Path, weights: bool, thin: bool = False) -> Path:
    """Write what an archive would hold as a folder, such as results/published/paper.

    Args:
        layout: a tier that is whole.
        folder: where to; a tier that an earlier call wrote there is replaced.
        weights: whether to write the weights too.
        thin: whether to leave out arrays that nothing in the tier needs, see `sharing/thin.py`.

    Raises:
        UserError: the tier is not whole or shows images that may not be published (a thin copy of
            such a tier has no images, and is refused only if a figure or a claim needs them), or
            the folder is that of the tier itself or holds something else than a tier, or a tier
            with runs that this one lacks and still plans. It stays as it is then.
    """
    private = [name for name in datasets(load_tier(layout.config)) if not DATASETS[name].is_public]
    if private and (weights or not thin):
        raise UserError(
            f"{layout.root} shows images of {', '.join(private)}, which may not be published: a "
            "folder is meant for git. With --thin and without --weights, it is published without "
            "images. If those of a dataset in a config may be published, set `public: true` there"
        )
    check_whole(layout, need_weights=weights)
    if folder.resolve() == layout.root.resolve():
        raise UserError(f"{folder} is the tier itself: name another folder")
    if folder.exists() and not (folder / MANIFEST).exists():
        raise UserError(f"{folder} exists, and is not a tier: move it away first")
    if folder.exists() and (others := _others(Layout(folder), layout)):
        raise UserError(
            f"{folder} holds {others[0]}, which would be removed, as what is written has no such "
            "file: move it away first, or name another folder"
        )
    if folder.exists() and (lost := _lost(Layout(folder), layout)):
        raise UserError(
            f"{folder} has {len(lost)} runs that {layout.root} lacks, such as {lost[0]}: move "
            f"{layout.root} away, `vaebench import {folder}`, and run the tier again (runs in the "
            "store are not trained again)"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch_folder = tempfile.TemporaryDirectory(dir=folder.parent, prefix=".publish.")
    with _shared(layout, weights, thin, private) as shared, scratch_folder as scratch:
        fresh = Layout(Path(scratch) / layout.root.name)
        _copy(shared, fresh, weights)
        _exchange(folder, fresh.root, Path(scratch) / "old")
    return folder


def _exchange(folder: Path, fresh: Path, old: Path) -> None:
    """Put a fresh folder in the place of one, which goes to `old`; if cut short, it stays."""
    try:
        if folder.exists():
            os.replace(folder, old)
        os.replace(fresh, folder)
    except BaseException:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        raise


def _others(published: Layout, layout: Layout) -> list[str]:
    """The sorted files in a published tier's folder that would be lost if it is published again.

    They are those that its manifest does not name, and weights that the tier itself lacks.
    """
    manifest = read_manifest(published)
    kept = [name for name in manifest.weights if (layout.root / name).exists()]
    named = {MANIFEST, *manifest.files, *kept}
    there = (path for path in published.root.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted({path.relative_to(published.root).as_posix() for path in there} - named)


def import_tier(archive: Path, results: Path, store: Path, plugins: Sequence[Path] = ()) -> Layout:
    """Check an archive, move it below `results`, and put its runs into the store.

    It is unpacked into a folder of its own and checked there: its names and sizes, its digests,
    what each file is, and that all follow from the records of its runs. Then it is renamed. What
    is here already stays as it is. One import runs at a time.

    Args:
        archive: its file, or a folder with what an archive holds.
        results: the folder of tiers.
        store: the store of finished runs.
        plugins: the files that the tier's config may load. No other plugin runs.

    Returns:
        The tier.

    Raises:
        UserError: the archive is damaged, holds what it should not, or a tier of that name with
            other content is there already.
    """
    load_plugins(plugins)
    with importing(results) as folder:
        unpacked = Layout(folder)
        manifest = unpack(archive, unpacked)
        tier = received_tier(unpacked.config)
        if tier.tier in RESERVED:
            raise UserError(f"{archive} is refused: no tier can be named {tier.tier!r}")
        if tier.tier != manifest.tier:
            raise UserError(
                f"{archive} is refused: its manifest is of the tier {manifest.tier!r}, and its "
                f"config of {tier.tier!r}"
            )
        check_contents(unpacked, manifest)
        check_whole(unpacked)
        target = Layout(results / manifest.tier)
        move_in(unpacked, target, manifest)
        adopt_runs(target, store)
    return target


def _header(name: str, path: Path) -> tarfile.TarInfo:
    """Of a file that anyone may read; no date, owner or other trace of this machine."""
    header = tarfile.TarInfo(name)
    header.size = path.stat().st_size
    header.mode = 0o644
    return header


@contextmanager
def _shared(
    layout: Layout, weights: bool, thin: bool, private: Sequence[str] = ()
) -> Iterator[Layout]:
    """A whole tier as it is shared: itself, or until `with` ends a thin copy.

    The copy lies beside the tier, since its config may name files relative to its own folder.
    """
    if not thin:
        yield layout
        return
    with tempfile.TemporaryDirectory(dir=layout.root.parent, prefix=".thin.") as folder:
        copy = Layout(Path(folder))
        _copy(layout, copy, weights)
        thin_tier(copy, OF_PAPER, private)
        check_whole(copy)
        yield copy


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
