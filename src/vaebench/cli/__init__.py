"""The command line. Each command is thin: it reads its options and calls one function.

Modules that import torch or seaborn are imported inside the commands, so that `--help` and
planning stay quick.
"""

import sys

from vaebench.cli import quality, results, sharing, training
from vaebench.cli.app import app
from vaebench.errors import UserError
from vaebench.progress import show_log_lines

__all__ = ["app", "main", "quality", "results", "sharing", "training"]


def main() -> None:
    """Run the command line; the user's mistakes end without a traceback."""
    show_log_lines()
    try:
        app()
    except UserError as error:
        print(f"vaebench: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        # A missing or unwritable file, or a full disk: the path says all that a traceback would.
        where = f"{error.filename}: " if error.filename else ""
        print(f"vaebench: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)
