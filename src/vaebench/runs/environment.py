"""The digest of the environment: the packages that make results, at their versions."""

from importlib.metadata import version
from pathlib import Path

from vaebench.files import digest_bytes

LOCK = Path("requirements.lock")


def environment_digest() -> str | None:
    """SHA-256 of requirements.lock and of the version of torch. None without that file.

    The lock leaves torch out, since it comes as the build that fits the machine. Its version names
    the build, such as 2.13.0+cpu.
    """
    if not LOCK.exists():
        return None
    return digest_bytes(LOCK.read_bytes() + f"torch=={version('torch')}\n".encode())
