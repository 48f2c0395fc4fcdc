"""docs/results.md and the README's part on results, which show a published tier."""

import os
import re
from functools import partial
from pathlib import Path
from urllib.parse import quote

from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import UNTRAINED, Judged, parts_of, verdict_counts
from vaebench.claims.ledger_text import POWER_TEXT, mark, survives_text
from vaebench.errors import UserError
from vaebench.files import has_text, write_atomically
from vaebench.paths import Layout
from vaebench.plain_text import escape
from vaebench.reading.text import read_text
from vaebench.reporting.content import Content, ShownFigure, content_of
from vaebench.reporting.headline import headline_of
from vaebench.reporting.markdown import render
from vaebench.reporting.statements import NOT_PRINTED, read_ledger
from vaebench.results.read import Results
from vaebench.workflow.rules import DEFAULT_TIER

BEGIN, END = "<!-- results: begin; `make pages` writes this part -->", "<!-- results: end -->"
README_FIGURES = ("fig04",)
Beside = tuple[Layout, Path]
"""Another tier, published or not, and its page."""


def write_pages(
    results: Results,
    page: Path,
    readme: Path,
    check: bool = False,
    evidence: Beside | None = None,
    faces: Beside | None = None,
) -> list[Path]:
    """Write the page of results, and the part of the README between its marks.

    Args:
        results: a tier that is published, with its figures, tables and claims.
        page: the file to write; it refers to the figures by relative paths.
        readme: a file with a line `BEGIN` and a line `END`.
        check: whether only to look which files are not what they would be.
        evidence: the tier that judges claims on the paper's equations, and its page.
        faces: the tier that judges claims on CelebA, and its page.

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
    made = partial(
        _render, content=content, layout=results.layout, page=page, evidence=evidence, faces=faces
    )
    part = made("readme.md", folder=readme.parent)
    wanted = {
        page: made("results.md", folder=page.parent),
        readme: f"{before}{BEGIN}\n{part}{END}{after}",
    }
    changed = [path for path, new in wanted.items() if not has_text(path, new)]
    if not check:
        for path in changed:
            write_atomically(path, wanted[path].encode())
    return changed


def _render(
    template: str,
    content: Content,
    layout: Layout,
    folder: Path,
    page: Path,
    evidence: Beside | None,
    faces: Beside | None,
) -> str:
    """A page as Markdown.

    Args:
        template: its name.
        content: what it shows.
        layout: the tier's files.
        folder: the folder of the file that the text is for; links start there.
        page: the page of results, which the README links to.
        evidence: the tier that judges claims on the paper's equations, and its page.
        faces: the tier that judges claims on CelebA, and its page.
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
    printed = [line for line in content.claims if line.paper != NOT_PRINTED]
    ours = [line for line in content.claims if line.paper == NOT_PRINTED]
    equations = _beside(content, evidence[0]) if evidence else []
    values = {
        "power_text": POWER_TEXT,
        "printed_counts": verdict_counts(printed),
        "our_counts": verdict_counts(ours) if ours else {},
        "folder": link(layout.root),
        "page": link(page),
        "command": _command(content.tier),
        "headline": headline_of(content.claims),
        "evidence_page": link(evidence[1]) if evidence else "",
        "evidence_counts": verdict_counts(equations) if equations else {},
        "identities": sum(line.expects.startswith("exactly") for line in _reproduced(equations)),
        "untrained": sum(UNTRAINED in line.reason for line in _reproduced(equations)),
        "faces_page": link(faces[1]) if faces else "",
        "faces_count": _judged_beside(printed, faces[0]) if faces else 0,
        "selected": [figure for figure in content.figures if figure.name in README_FIGURES],
    }
    return render(template, vars(content) | values, filters)


def _beside(content: Content, layout: Layout) -> list[Judged]:
    """The paper's claims that another tier judges beside these."""
    here = {line.id for line in content.claims}
    return [line for line in _of_paper(layout) if line.id not in here]


def _reproduced(claims: list[Judged]) -> list[Judged]:
    return [line for line in claims if line.verdict == Verdict.REPRODUCED]


def _judged_beside(claims: list[Judged], layout: Layout) -> int:
    """How many of these claims that are not run here have runs in another tier."""
    lacking = {line.id for line in claims if line.verdict == Verdict.NOT_RUN}
    judged = {line.id for line in _of_paper(layout) if line.verdict != Verdict.NOT_RUN}
    return len(lacking & judged)


def _of_paper(layout: Layout) -> list[Judged]:
    """The paper's claims that a published tier bears on. None if it is not published."""
    path = layout.claims("json")
    return list(parts_of(read_ledger(path))[0]) if path.exists() else []


def _anchor(figure: ShownFigure) -> str:
    """What the heading of a figure is called in links to it."""
    heading = f"Figure {figure.number}: {figure.title}"
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _command(tier: str) -> str:
    option = "" if tier == DEFAULT_TIER else f" --configfile config/{tier}.yaml"
    return f"snakemake --cores all{option}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}".replace("-", "−")
