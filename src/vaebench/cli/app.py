"""The Typer application, and options that several commands share."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from vaebench import __version__
from vaebench.errors import UserError

app = typer.Typer(
    help="A reproducible benchmark of variational auto-encoder objectives. "
    "`snakemake --cores all` runs everything; these commands are its parts, for trying one thing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

TierOption = Annotated[
    str,
    typer.Option(
        "--tier",
        help="A tier: its name, such as paper, its config file, or its folder in results/.",
    ),
]
TiersOption = Annotated[
    list[str] | None,
    typer.Option("--tier", help="The name of a tier; can be repeated. All tiers if none is given."),
]
DataOption = Annotated[Path, typer.Option(help="Folder of raw and prepared datasets.")]


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"vaebench {__version__}")
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
    """Options before the name of a command."""


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
                f"--{name.replace('_', '-')}: '{part}' in '{text}' is no "
                f"{'whole number' if kind is int else 'number'}; write a list such as 0,1,2"
            ) from None
    return values


def parse_duration(text: str) -> float:
    """The seconds of a duration such as 90s, 9m or 2h.

    Raises:
        UserError: the text is not a duration.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None:
        raise UserError(f"--budget: '{text}' is no duration; write one such as 90s, 9m or 2h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
