"""Prints pip's settings as those of uv, which does not read them: lines for a shell's `eval`.

What is set for uv already stays. So a mirror or a folder of wheels is named once, for pip.
"""

import ast
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping

NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
"""The variable of uv for each option of pip. The last two are known to many programs."""
SECTIONS = ("global", "install", ":env:")
"""Where pip takes an option of `pip install` from. Later ones win."""


def pip_settings(listed: str) -> dict[str, str]:
    """The options of `pip install`, from the lines that `pip config list` prints.

    A line is `section.option='value'`.
    """
    found: dict[str, str] = {}
    for section in SECTIONS:
        for line in listed.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                found[key.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    return found


def uv_settings(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of uv that follow from pip's settings, but for those that are set."""
    found = {}
    for option, name in NAMES.items():
        values = pip.get(option, "").split()
        if values and not environment.get(name):
            found[name] = ("," if option == "find-links" else " ").join(values)
    if "UV_INDEX" in found and not environment.get("UV_INDEX_STRATEGY"):
        # As pip does, of all registries take the one that has the version. The lock has its hash.
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return found


if __name__ == "__main__":
    pip = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(pip, capture_output=True, encoding="utf-8", check=True).stdout
    for name, value in uv_settings(pip_settings(listed), os.environ).items():
        print(f"export {name}={shlex.quote(value)}")
