"""Unpacks an archive, or an unpacked folder, into a folder of its own, within limits."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from vaebench.errors import UserError
from vaebench.paths import Layout
from vaebench.provenance.manifest import read_manifest
from vaebench.runs.record import Manifest
from vaebench.sharing.names import check_names, name_problem
from vaebench.sharing.tar import PIECE, Member, read_members

LARGEST_FILE = 256 * 1024**2
"""Bytes. No file of a tier is nearly as large."""
LARGEST_SUM = 64 * 1024**3
"""Bytes of all files together, as unpacked."""
LARGEST_MANIFEST = 32 * 1024**2
MOST_FILES = 100_000
MANIFEST = "manifest.json"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DEPTH_OF_MANIFEST = 3


def unpack(source: Path, layout: Layout) -> Manifest:
    """Write what an archive or a folder holds below `layout`, each file with its digest.

    Args:
        source: a tar file that begins with the manifest, or a folder with a manifest. Of a folder,
            what the manifest does not name is left alone.
        layout: an empty folder that no other process uses.

    Raises:
        UserError: the source is damaged or exceeds a limit, or holds what the manifest does not
            name, with another digest or twice. The text names the member.
    """
    if source.is_dir():
        return _write_all(_of_folder(source), layout, source)
    if source.exists() and not source.is_file():
        raise UserError(f"{source} is neither a file nor a folder")
    with source.open("rb") as file:
        return _write_all(read_members(file), layout, source)


def checked_manifest(path: Path) -> Manifest:
    """Read a manifest that somebody else wrote.

    Raises:
        UserError: it is damaged, or names what no tier has.
    """
    if path.stat().st_size > LARGEST_MANIFEST:
        raise UserError(f"{path} is refused: it has more than {LARGEST_MANIFEST:,} bytes")
    check_depth(path.read_bytes(), _DEPTH_OF_MANIFEST, str(path))
    manifest = read_manifest(Layout(path.parent))
    names = [*manifest.files, *manifest.weights]
    if len(names) > MOST_FILES:
        raise UserError(f"{path} is refused: it names {len(names):,} files")
    if MANIFEST in names:
        raise UserError(f"{path} is refused: it names itself")
    check_names(names)
    digests = [*manifest.files.values(), *manifest.weights.values()]
    if wrong := next((digest for digest in digests if not _DIGEST.fullmatch(digest)), None):
        raise UserError(f"{path} is refused: {wrong[:80]!r} is no digest")
    weights = {
        f"weights/{name.removeprefix('runs/').removesuffix('metrics.json')}model.safetensors"
        for name in manifest.files
        if name.startswith("runs/") and name.endswith("/metrics.json")
    }
    if odd := sorted(weights ^ set(manifest.weights)):
        raise UserError(f"{path} is refused: {odd[0]!r} is not the weights of one of its runs")
    return manifest


def check_depth(text: bytes, deepest: int, source: str) -> None:
    """Check that lists and mappings of a JSON text are not nested deeply.

    Python's reader of JSON calls itself for each level.

    Raises:
        UserError: they are.
    """
    depth = 0
    for token in re.finditer(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', text, re.DOTALL):
        one = token[0][:1]
        depth += (one in b"[{") - (one in b"]}")
        if depth > deepest:
            raise UserError(f"{source} is refused: its values are nested more than {deepest} deep")


def _write_all(members: Iterator[Member], layout: Layout, source: Path) -> Manifest:
    manifest: Manifest | None = None
    seen: set[str] = set()
    total = 0
    for name, size, content in members:
        if size > LARGEST_FILE:
            raise UserError(f"{source} is refused: {name!r} has {size:,} bytes")
        if (total := total + size) > LARGEST_SUM:
            raise UserError(f"{source} is refused: its files have more than {LARGEST_SUM:,} bytes")
        if manifest is None:
            if name != MANIFEST:
                raise UserError(f"{source} is not the archive of a tier: it has no manifest first")
            _write(layout.manifest, content)
            manifest = checked_manifest(layout.manifest)
            continue
        if problem := name_problem(name):
            raise UserError(f"{source} is refused: {name!r} {problem}")
        if name in seen or name == MANIFEST:
            raise UserError(f"{source} is refused: it holds {name!r} twice")
        seen.add(name)
        wanted = manifest.files.get(name) or manifest.weights.get(name)
        if wanted is None:
            raise UserError(f"{source} is refused: its manifest does not name {name!r}")
        if _write(layout.root / name, content) != wanted:
            raise UserError(
                f"{source} is refused: {name!r} does not have the digest of the manifest"
            )
    if manifest is None:
        raise UserError(f"{source} is empty")
    if missing := sorted(manifest.files.keys() - seen):
        raise UserError(f"{source} is refused: {missing[0]!r} is missing")
    return manifest


def _write(path: Path, content: Iterator[bytes]) -> str:
    """Write a file that is not there yet; returns the digest of its content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for piece in content:
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _of_folder(folder: Path) -> Iterator[Member]:
    """What the manifest of a folder names, of the weights those that are there, if any."""
    yield _file(folder, MANIFEST)
    manifest = checked_manifest(folder / MANIFEST)
    for name in manifest.files:
        yield _file(folder, name)
    for name in manifest.weights:
        if (folder / name).exists():
            yield _file(folder, name)


def _file(folder: Path, name: str) -> Member:
    path = folder / name
    if path.resolve() != folder.resolve() / name:
        raise UserError(f"{path} is refused: it is, or is behind, a symbolic link")
    try:
        found = path.stat()
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is refused: it is not a plain file")
    return name, found.st_size, _pieces(path, found.st_size)


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """At most as many bytes as were announced, should the file grow."""
    with path.open("rb") as file:
        while size and (piece := file.read(min(size, PIECE))):
            size -= len(piece)
            yield piece
