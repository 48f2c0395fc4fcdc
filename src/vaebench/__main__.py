"""The command `vaebench`, also as `python -m vaebench`."""

import sys


def main() -> None:
    """Run the command line. Ctrl-C ends it without a traceback, also while modules are imported."""
    try:
        from vaebench.cli import main as run

        run()
    except KeyboardInterrupt:
        print("vaebench: stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
