"""Moves a checked tier into results/, one import at a time. A kill leaves nothing halfway."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vaebench.errors import UserError
from vaebench.files import alone, digest_file
from vaebench.paths import Layout
from vaebench.provenance.manifest import UNLISTED
from vaebench.runs.record import Manifest

LOCK = ".import.lock"
PRIVATE = ".importing."
"""The beginning of the name of a folder in which an import unpacks. It is as deep as a tier, since
paths in a config are relative to its folder."""


@contextlib.contextmanager
def importing(results: Path) -> Iterator[Path]:
    """An empty private folder in `results`, for the one import that may run now.

    Waits for another import. Folders of imports that were killed are removed.
    """
    results.mkdir(parents=True, exist_ok=True)
    with alone(results / LOCK, f"waiting: another import into {results} is running"):
        for left in results.glob(f"{PRIVATE}*"):
            shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(dir=results, prefix=PRIVATE))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def move_in(unpacked: Layout, target: Layout, manifest: Manifest) -> None:
    """Rename an unpacked tier to its place, or add what the same tier lacks there.

    Raises:
        UserError: something else is in its place. It stays as it is.
    """
    if target.root.is_symlink():
        raise UserError(f"{target.root} is a symbolic link: move it away first")
    if target.root.exists() and _is_plan(target):
        shutil.rmtree(target.root)
    if not target.root.exists():
        unpacked.root.chmod(0o777 & ~_umask())
        os.replace(unpacked.root, target.root)
        return
    _check_same(unpacked, target, manifest)
    here = [name for name in manifest.weights if (unpacked.root / name).exists()]
    for name in [*manifest.files, *here, unpacked.manifest.name]:
        path = target.root / name
        if not path.exists() or path == target.config:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(unpacked.root / name, path)


def _is_plan(there: Layout) -> bool:
    """Whether nothing is there but what `snakemake` writes down before it makes anything."""
    files = {path for path in there.root.rglob("*") if not path.is_dir() or path.is_symlink()}
    return files <= {there.config, there.hashes, there.owner}


def _check_same(unpacked: Layout, target: Layout, manifest: Manifest) -> None:
    """Check that whatever `target` has of a tier is the same as in the archive.

    The plan and the logs do not count. They are written again.
    """
    has_manifest = target.manifest.exists()
    if has_manifest and target.manifest.read_bytes() != unpacked.manifest.read_bytes():
        raise UserError(
            f"{target.root} exists already, and is another tier than that of the archive: move it "
            "away first"
        )
    known = manifest.files | manifest.weights
    for path in sorted(target.root.rglob("*")):
        name = path.relative_to(target.root).as_posix()
        if path.is_dir() or path in (target.config, target.manifest, target.hashes):
            continue
        if name.partition("/")[0] in UNLISTED - {"weights"}:
            continue
        if name not in known or digest_file(path) != known[name]:
            raise UserError(
                f"{target.root} exists already, and its {name!r} is not that of the archive: move "
                f"{target.root} away first"
            )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
