"""The Typer application, and options that several commands share."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vaebench import __version__
from vaebench.cli.say import say
from vaebench.errors import UserError
from vaebench.experiment.settings import NAME
from vaebench.paths import RESULTS, Layout

TRAIN = "Train"
DATA_AND_CONFIGS = "Prepare data and configs"
MEASURE = "Measure trained runs"
SHOW = "Show results"
CHECK = "Check results and trace them"
SHARE = "Share results"
DEVELOP = "Change this project"
PURPOSES = (TRAIN, DATA_AND_CONFIGS, MEASURE, SHOW, CHECK, SHARE, DEVELOP)
"""What people use commands for, as headings of `vaebench --help`, in their order. A command that
only the workflow or the Makefile calls is hidden."""
LONGEST = 365 * 86_400
"""The most seconds of a duration that a command takes."""


class CommandsByPurpose(TyperGroup):
    """The commands, ordered by their purpose."""

    def list_commands(self, ctx: Any) -> list[str]:
        """See `TyperGroup`."""

        def place(name: str) -> int:
            purpose = getattr(self.commands[name], "rich_help_panel", None)
            return PURPOSES.index(purpose) if purpose in PURPOSES else len(PURPOSES)

        return sorted(super().list_commands(ctx), key=place)


app = typer.Typer(
    cls=CommandsByPurpose,
    help="A reproducible benchmark of objectives that train variational auto-encoders. "
    "`vaebench train` trains one objective or compares several. `snakemake --cores all` makes all "
    "results of a tier.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _without_unasked_plugins(tier: str) -> str:
    """The tier, if reading it runs no plugin that came with somebody else's results."""
    from vaebench.experiment.tier import is_folder
    from vaebench.experiment.unasked import IMPORT, check_plugins

    if is_folder(tier):
        check_plugins(Layout(Path(tier)), RESULTS, IMPORT)
    return tier


TierOption = Annotated[
    str,
    typer.Option(
        "--tier",
        callback=_without_unasked_plugins,
        help="A tier: its name, such as paper, its config file, or its folder in results/.",
    ),
]
TiersOption = Annotated[
    list[str] | None,
    typer.Option("--tier", help="The name of a tier. Can be repeated. Default: all tiers."),
]
DataOption = Annotated[Path, typer.Option(help="Folder of raw and prepared datasets.")]


def _show_version(is_asked: bool) -> None:
    if is_asked:
        say(f"vaebench {__version__}")
        raise typer.Exit


@app.callback()
def main_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before the name of a command."""


def parse_list(name: str, text: str, kind: type[int] | type[float]) -> list[Any]:
    """Parse the text of an option such as `0,1,2`.

    Raises:
        UserError: an entry is not a number of that kind.
    """
    values = []
    for part in text.split(","):
        try:
            values.append(kind(part))
        except ValueError:
            raise UserError(
                f"--{name.replace('_', '-')}: '{part}' in '{text}' is not a "
                f"{'whole number' if kind is int else 'number'}; write a list such as 0,1,2"
            ) from None
    return values


def parse_names(option: str, text: str) -> list[str]:
    """Parse the text of an option such as `learned,bilbo`.

    Raises:
        UserError: an entry is not a name.
    """
    names = [part.strip() for part in text.split(",")]
    for name in names:
        if re.fullmatch(NAME, name) is None:
            raise UserError(
                f"--{option}: '{name}' in '{text}' is not a name of lower-case letters, digits and "
                "hyphens; write one, or a list such as learned,bilbo"
            )
    return names


def parse_duration(text: str) -> float:
    """The seconds of a duration such as 90s, 9m or 2h.

    Raises:
        UserError: the text is not a duration of at most a year.
    """
    match = re.fullmatch(r"(\d{1,8}(?:\.\d{1,8})?)([smh])", text)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else LONGEST + 1
    if seconds > LONGEST:
        raise UserError(f"--budget: '{text}' is not a duration; write one such as 90s, 9m or 2h")
    return seconds
