"""Fetches raw files from mirrors or their official hosts, and verifies them."""

import http.client
import os
import shutil
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from vaebench.errors import UserError
from vaebench.files import digest_file
from vaebench.progress import byte_progress

LARGEST = 8 * 1024**3
"""The most bytes of a download. The archive of CelebA has 1.4 thousand million."""
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class RawFile:
    """A published file."""

    name: str
    md5: str
    official: tuple[str, ...]
    """The official addresses of the file, in the order in which they are tried."""


def fetch(file: RawFile, dataset: str, folder: Path, mirrors: list[str]) -> Path:
    """The path of a verified copy of `file` in `folder`.

    Sources are tried in this order: an existing copy in `folder`, the mirror that VAEBENCH_MIRROR
    names, `mirrors`, the official hosts. A mirror is a folder or URL that has `<dataset>/<file>`. A
    copy that fails verification is not kept.

    Raises:
        UserError: no source has the file. The text names each source, what was found there and what
            to do.
    """
    target = folder / file.name
    tried: list[str] = []
    if target.exists():
        problem = _mismatch(target, file)
        if problem is None:
            return target
        tried.append(f"{target}: {problem}")
    sources = [f"{place.rstrip('/')}/{dataset}/{file.name}" for place in places(mirrors)]
    for source in [*sources, *file.official]:
        problem = _copy_verified(source, target, file)
        if problem is None:
            return target
        tried.append(f"{source}: {problem}")
    listing = "".join(f"\n  - {line}" for line in tried)
    said = (
        f"could not be fetched. Tried in order:{listing}\n"
        if tried
        else "has no address that a program may fetch it from, and no mirror is given. "
    )
    raise UserError(
        f"{file.name} of dataset '{dataset}' {said}"
        f"Put the file (MD5 {file.md5}) at {target}, or set VAEBENCH_MIRROR to a folder or URL "
        f"that holds {dataset}/{file.name}."
    )


def places(mirrors: list[str]) -> list[str]:
    """All mirrors, in the order in which they are tried. That of VAEBENCH_MIRROR is the first."""
    chosen = os.environ.get("VAEBENCH_MIRROR")
    return [chosen, *mirrors] if chosen else mirrors


def _copy_verified(source: str, target: Path, file: RawFile) -> str | None:
    """Copy `source` to `target` if it is the published file.

    Returns:
        None, or else the reason why it was not copied.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    is_url = "://" in source
    if not is_url and not Path(source).expanduser().is_file():
        return "no such file"
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as scratch:
        copy = Path(scratch) / file.name
        try:
            if is_url:
                _download(source, copy)
            else:
                shutil.copyfile(Path(source).expanduser(), copy)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            return f"cannot be read ({reason})"
        problem = _mismatch(copy, file)
        if problem is None:
            os.replace(copy, target)
        return problem


def _download(url: str, copy: Path) -> None:
    with (
        urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response,
        copy.open("wb") as out,
        byte_progress(url, int(response.headers.get("Content-Length") or 0)) as advance,
    ):
        while block := response.read(1 << 16):
            if out.tell() > LARGEST:
                raise ValueError(f"it has more than {LARGEST:,} bytes")
            out.write(block)
            advance(len(block))


def _mismatch(path: Path, file: RawFile) -> str | None:
    found = digest_file(path, "md5")
    if found == file.md5:
        return None
    return f"not the published file ({path.stat().st_size} bytes, MD5 {found}, not {file.md5})"
