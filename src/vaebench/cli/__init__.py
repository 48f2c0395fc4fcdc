"""The command line. Each command reads its options and calls functions of other packages.

Modules that import torch or seaborn are imported inside the commands, so that `--help` and planning
are fast.
"""

import io
import os
import sys

from vaebench.cli import (
    attestation,
    dependence,
    equations,
    evidence,
    latent,
    quality,
    results,
    sharing,
    training,
)
from vaebench.cli.app import app
from vaebench.errors import UserError
from vaebench.memory import shortage
from vaebench.plain_text import printable
from vaebench.progress import show_log_lines

__all__ = [
    "app",
    "attestation",
    "dependence",
    "equations",
    "evidence",
    "latent",
    "main",
    "quality",
    "results",
    "sharing",
    "training",
]


def main() -> None:
    """Run the command line. Errors that a user can correct are printed without a traceback."""
    show_log_lines()
    # Notebooks export a backend of their own kernel, which matplotlib refuses elsewhere.
    os.environ["MPLBACKEND"] = "agg"
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding lacks is written as an escape sequence, such as \\u03a3.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except UserError as error:
        print(printable(f"vaebench: {error}"), file=sys.stderr)
        sys.exit(2)
    except (MemoryError, RuntimeError, OSError) as error:
        if found := shortage(error):
            print(f"vaebench: {found}", file=sys.stderr)
            sys.exit(1)
        if not isinstance(error, OSError):
            raise
        # For a missing or unwritable file, or a full disk, the path suffices.
        # The second file is where the first one was to go.
        files = " to ".join(str(file) for file in (error.filename, error.filename2) if file)
        where = f"{files}: " if files else ""
        print(printable(f"vaebench: {where}{error.strerror or error}"), file=sys.stderr)
        sys.exit(1)
