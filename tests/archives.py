"""Archives as a stranger would make them: every digest fits, whatever is inside."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from vaebench.errors import UserError
from vaebench.files import digest_bytes, digest_file
from vaebench.paths import Layout
from vaebench.runs.record import CHECKSUM, checksum
from vaebench.sharing.archive import import_tier

Change = Callable[[dict[str, Any]], object]
RUN = "posterior_variance/objective~bilbo/latent_dim~2/seed~1"
METRICS = f"runs/{RUN}/metrics.json"


def sealed(values: dict[str, Any]) -> bytes:
    """A record with these entries and the digest that fits."""
    values = {key: value for key, value in values.items() if key != CHECKSUM}
    return json.dumps(values | {CHECKSUM: checksum(values)}, indent=2).encode()


def edit(path: Path, change: Change) -> None:
    """Change the entries of a record, and seal it again."""
    values = json.loads(path.read_text())
    change(values)
    path.write_bytes(sealed(values))


def reseal(layout: Layout, run: str) -> None:
    """Let the record of a run and the manifest name its arrays and weights as they are now."""
    folder, weights = layout.root / "runs" / run, layout.root / "weights" / run
    digests = {"arrays": digest_file(folder / "arrays.npz")}
    if weights.exists():
        digests["weights"] = digest_file(weights / "model.safetensors")
    edit(folder / "metrics.json", lambda values: values["digests"].update(digests))


def forged_manifest(
    layout: Layout, change: Change = lambda _: None, add: Iterable[str] = ()
) -> bytes:
    """The manifest of a tier with the digests that its files have now."""
    values = json.loads(layout.manifest.read_text())
    for kind in ("files", "weights"):
        names = [*values[kind], *(add if kind == "files" else ())]
        values[kind] = {
            name: digest_file(layout.root / name)
            if (layout.root / name).is_file()
            else values[kind].get(name, "0" * 64)
            for name in names
        }
    change(values)
    return sealed(values)


def pack(
    path: Path, members: Iterable[tuple[str, bytes]], kinds: dict[str, bytes] | None = None
) -> Path:
    """Write a tar file. `kinds` are those of members that are no plain files."""
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.type = (kinds or {}).get(name, tarfile.REGTYPE)
            header.size = len(content)
            if header.type != tarfile.REGTYPE:
                header.linkname = "/etc/passwd"
            archive.addfile(header, io.BytesIO(content))
    return path


def pack_tier(
    path: Path, layout: Layout, change: Change = lambda _: None, add: Iterable[str] = ()
) -> Path:
    """Pack a tier as it is now, with a manifest that fits."""
    manifest = forged_manifest(layout, change, add)
    names = [*json.loads(manifest)["files"], *json.loads(manifest)["weights"]]
    files = [
        (name, (layout.root / name).read_bytes())
        for name in dict.fromkeys(names)
        if (layout.root / name).is_file()
    ]
    return pack(path, [("manifest.json", manifest), *files])


def with_checksums(content: bytes) -> bytes:
    """A tar file whose headers have the checksums that fit, as far as they can be found."""
    made = bytearray(content)
    place = 0
    while place + 512 <= len(made) and any(made[place : place + 512]):
        header = made[place : place + 512]
        total = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
        made[place + 148 : place + 156] = b"%06o\0 " % total
        try:
            size = int(bytes(header[124:136]).strip(b" \0") or b"0", 8)
        except ValueError:
            break
        place += 512 + -(-size // 512) * 512
    return bytes(made)


def digest_of(content: bytes) -> str:
    """For a manifest."""
    return digest_bytes(content)


def refused(archive: Path, tmp_path: Path, message: str) -> str:
    """Import an archive, which has to be refused, and look that nothing was written."""
    results, store = tmp_path / "results", tmp_path / "store"
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(UserError, match=message) as caught:
        import_tier(archive, results, store)
    assert [path.name for path in results.iterdir()] == [".import.lock"]
    assert not store.exists()
    assert {path.name for path in tmp_path.iterdir()} <= {*before, "results"}
    assert str(caught.value).replace("\n", " ").isprintable()
    return str(caught.value)
