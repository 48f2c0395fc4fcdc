"""docs/results.md and the README's part on results, which show a published tier."""

import os
import re
from pathlib import Path
from urllib.parse import quote

from vaebench.claims.ledger_text import POWER_TEXT, mark, survives_text
from vaebench.errors import UserError
from vaebench.files import has_text, write_atomically
from vaebench.paths import Layout
from vaebench.plain_text import escape
from vaebench.reading.text import read_text
from vaebench.reporting.content import Content, ShownFigure, content_of
from vaebench.reporting.headline import headline_of
from vaebench.reporting.markdown import render
from vaebench.results.read import Results
from vaebench.workflow.rules import DEFAULT_TIER

BEGIN, END = "<!-- results: begin; `make pages` writes this part -->", "<!-- results: end -->"
README_FIGURES = ("fig04",)


def write_pages(results: Results, page: Path, readme: Path, check: bool = False) -> list[Path]:
    """Write the page of results, and the part of the README between its marks.

    Args:
        results: a tier that is published, with its figures, tables and claims.
        page: the file to write; it refers to the figures by relative paths.
        readme: a file with a line `BEGIN` and a line `END`.
        check: whether only to look which files are not what they would be.

    Returns:
        The files that were not already so.

    Raises:
        UserError: the README lacks its marks.
    """
    text = read_text(readme, "restore it from git")
    before, _, rest = text.partition(f"{BEGIN}\n")
    _, found, after = rest.partition(END)
    if not found:
        raise UserError(f"{readme} lacks the lines '{BEGIN}' and '{END}' around what is written")
    content = content_of(results)
    part = _render("readme.md", content, results.layout, readme.parent, page)
    wanted = {
        page: _render("results.md", content, results.layout, page.parent, page),
        readme: f"{before}{BEGIN}\n{part}{END}{after}",
    }
    changed = [path for path, new in wanted.items() if not has_text(path, new)]
    if not check:
        for path in changed:
            write_atomically(path, wanted[path].encode())
    return changed


def _render(template: str, content: Content, layout: Layout, folder: Path, page: Path) -> str:
    """A page as Markdown.

    Args:
        template: its name.
        content: what it shows.
        layout: the tier's files.
        folder: the folder of the file that the text is for; links start there.
        page: the page of results, which the README links to.
    """

    def link(path: Path) -> str:
        return quote(Path(os.path.relpath(path, folder)).as_posix())

    filters = {
        "text": escape,
        "cell": lambda text: escape(text) or "–",
        "number": _number,
        "mark": mark,
        "survives": survives_text,
        "md_table": lambda table: table.to_markdown(index=False, disable_numparse=True),
        "anchor": _anchor,
        "image": lambda figure: link(layout.figure(figure.name, "png")),
    }
    values = {
        "power_text": POWER_TEXT,
        "folder": link(layout.root),
        "page": link(page),
        "command": _command(content.tier),
        "headline": headline_of(content.claims),
        "selected": [figure for figure in content.figures if figure.name in README_FIGURES],
    }
    return render(template, vars(content) | values, filters)


def _anchor(figure: ShownFigure) -> str:
    """What the heading of a figure is called in links to it."""
    heading = f"Figure {figure.number}: {figure.title}"
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _command(tier: str) -> str:
    option = "" if tier == DEFAULT_TIER else f" --configfile config/{tier}.yaml"
    return f"snakemake --cores all{option}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}".replace("-", "−")
