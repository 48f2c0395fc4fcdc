"""Printing, so that no text from elsewhere can command a terminal."""

import typer

from vaebench.plain_text import printable


def say(value: object = "", newline: bool = True) -> None:
    """Print a line to standard output. Control characters are written out."""
    typer.echo(printable(str(value)), nl=newline)
