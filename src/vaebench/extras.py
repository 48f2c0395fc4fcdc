"""The optional dependencies of this package, and the error that says how to install them.

The base dependencies suffice to train, to evaluate and to use trained models.
"""

from importlib.util import find_spec

from vaebench.errors import UserError

EXTRAS: dict[str, tuple[str, ...]] = {
    "figures": ("altair", "matplotlib", "seaborn", "vl_convert"),
    "quality": ("prdc", "torchmetrics"),
    "workflow": (
        *("altair", "dvc", "matplotlib", "prdc", "seaborn", "snakemake", "torchmetrics"),
        "vl_convert",
    ),
}
"""The modules that each extra of pyproject.toml brings."""


def require(extra: str) -> None:
    """Check that the modules of an extra are installed. None of them is imported.

    Raises:
        UserError: a module is missing. The text names the command that installs it.
    """
    missing = [module for module in EXTRAS[extra] if find_spec(module) is None]
    if missing:
        raise UserError(
            f"this needs {', '.join(missing)}, not installed here: pip install 'vaebench[{extra}]'"
        )
