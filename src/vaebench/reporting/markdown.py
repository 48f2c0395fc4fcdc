"""Generated pages in Markdown: their templates, and writing them only where they have changed."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vaebench.files import has_text, write_atomically
from vaebench.paths import Layout
from vaebench.plain_text import escape


def render(
    template: str, values: Mapping[str, Any], filters: Mapping[str, Callable[..., str]] = {}
) -> str:
    """A page as Markdown.

    Args:
        template: the name of a file in templates/. Its filter `cell` escapes a text for a table.
        values: what the template shows.
        filters: further filters.
    """
    environment = Environment(
        loader=PackageLoader("vaebench.reporting"),
        autoescape=False,  # for Markdown, not HTML: the templates escape their texts
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": escape, **filters}
    return environment.get_template(template).render(values)


def write_page(page: Path, text: str, check: bool = False) -> list[Path]:
    """Write a page, if it has another text or is not there.

    Args:
        page: the file.
        text: what it is to have.
        check: whether only to look.

    Returns:
        The page, if it was not already so.
    """
    if has_text(page, text):
        return []
    if not check:
        write_atomically(page, text.encode())
    return [page]


def picture(layout: Layout, name: str, folder: Path) -> str:
    """The path of a figure relative to the folder of a page. Empty if it is not drawn."""
    path = layout.figure(name, "png")
    return Path(os.path.relpath(path, folder)).as_posix() if path.exists() else ""
