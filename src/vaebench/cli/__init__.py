"""The command line. Each command is thin: it reads its options and calls one function.

Modules that import torch or seaborn are imported inside the commands, so that `--help` and
planning stay quick.
"""

import sys

from vaebench.cli import results, training
from vaebench.cli.app import app
from vaebench.errors import UserError

__all__ = ["app", "main", "results", "training"]


def main() -> None:
    """Run the command line; the user's mistakes end without a traceback."""
    try:
        app()
    except UserError as error:
        print(f"vaebench: {error}", file=sys.stderr)
        sys.exit(2)
