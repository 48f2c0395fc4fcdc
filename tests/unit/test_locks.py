"""The locks: names, versions and hashes, and the settings of pip that uv gets."""

import os
import re
import subprocess
import sys

from tests.conftest import PROJECT
from tools.uv_settings import pip_settings, uv_settings

LOCKS = ("installer.lock", "requirements.lock", "torch.lock")


def entries(name: str) -> dict[str, str]:
    """The text of each package of a lock, by its name, version and marker."""
    text = (PROJECT / name).read_text("utf-8")
    found = re.findall(r"^([\w.-]+==[^\\\n]+?) \\\n((?:    .*\n)+)", text, re.MULTILINE)
    assert len(found) == len(re.findall(r"^\S", text, re.MULTILINE)), "an entry without a hash"
    return dict(found)


def test_every_package_has_a_version_and_hashes_and_no_address() -> None:
    for name in LOCKS:
        packages = entries(name)
        assert packages
        for hashes in packages.values():
            assert re.fullmatch(r"(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", hashes)
        assert "://" not in (PROJECT / name).read_text("utf-8")


def test_torch_is_locked_apart_at_the_version_that_is_named() -> None:
    torch = (PROJECT / "torch-version.txt").read_text("utf-8").strip()
    assert f"torch=={torch}" in entries("torch.lock")
    names = {entry.partition("==")[0] for entry in entries("requirements.lock")}
    assert not names & {entry.partition("==")[0] for entry in entries("torch.lock")}
    assert {"hatchling", "setuptools"} <= names  # what builds packages without a wheel
    assert next(iter(entries("installer.lock"))).startswith("uv==")


def test_the_settings_are_lines_for_a_shell() -> None:
    command = [sys.executable, "tools/uv_settings.py"]
    environment = os.environ | {"PIP_INDEX_URL": "it's mine", "UV_DEFAULT_INDEX": ""}
    lines = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, encoding="utf-8", check=True
    ).stdout
    told = subprocess.run(
        ["sh", "-c", f'{lines}printf %s "$UV_DEFAULT_INDEX"'], capture_output=True, encoding="utf-8"
    )
    assert told.stdout == "it's mine"


def test_settings_of_pip_become_those_of_uv() -> None:
    listed = (
        ":env:.find-links='/wheels/a /wheels/b'\n"
        "global.find-links='/not/this'\n"
        "global.index-url='MIRROR'\n"
        "install.trusted-host='one two'\n"
        "user.unknown='x'\n"
    )
    pip = pip_settings(listed)
    assert pip == {
        "find-links": "/wheels/a /wheels/b", "index-url": "MIRROR", "trusted-host": "one two"
    }  # fmt: skip
    found = uv_settings(pip, {"UV_DEFAULT_INDEX": "MINE"})
    assert found == {"UV_FIND_LINKS": "/wheels/a,/wheels/b", "UV_INSECURE_HOST": "one two"}
    assert uv_settings({}, {}) == {}
    # pip looks for a version in all registries. uv would look in the first that has the package.
    two = uv_settings({"extra-index-url": "A B"}, {})
    assert two == {"UV_INDEX": "A B", "UV_INDEX_STRATEGY": "unsafe-best-match"}


def test_actions_are_pinned_by_commit() -> None:
    text = (PROJECT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r"  # v\d+\.\d+\.\d+", comment), action
