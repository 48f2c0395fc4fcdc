"""An answer as text to paste: LaTeX with booktabs, Markdown, and CSV with every digit."""

import csv
import io
import re
from math import isfinite

from vaebench.page.answer import Row, Table, cell
from vaebench.plain_text import escape

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "–": "--", "−": "$-$", "σ": r"$\sigma$", "τ": r"$\tau$", "λ": r"$\lambda$",
}  # fmt: skip


def copies_of(table: Table) -> dict[str, str]:
    """The texts of a table, by the name of their form."""
    return {"LaTeX": to_latex(table), "Markdown": to_markdown(table), "CSV": to_csv(table)}


def latex_escape(text: str) -> str:
    """Text on one line that LaTeX sets as it is."""
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def to_latex(table: Table) -> str:
    """A `tabular` for the package booktabs, with intervals in brackets."""
    titles = [latex_escape(title) for title in _titles(table)]
    places = "l" * len(table.axes) + "r" * (len(titles) - len(table.axes))
    lines = [" & ".join(_latex_cell(text) for text in _texts(table, row)) for row in table.rows]
    body = "\n".join(f"{line} \\\\" for line in lines)
    return (
        f"\\begin{{tabular}}{{{places}}}\n\\toprule\n{' & '.join(titles)} \\\\\n\\midrule\n"
        f"{body}\n\\bottomrule\n\\end{{tabular}}\n"
    )


def to_markdown(table: Table) -> str:
    """A table for forges and notes."""
    titles = [escape(title) for title in _titles(table)]
    rule = ["---"] * len(table.axes) + ["---:"] * (len(titles) - len(table.axes))
    lines = [[escape(text) for text in _texts(table, row)] for row in table.rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in [titles, rule, *lines])


def to_csv(table: Table) -> str:
    """Comma-separated values at full precision: of each measure, the mean and its interval."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    measures = [f"{c.key}{end}" for c in table.columns for end in ("", "_low", "_high")]
    writer.writerow([*table.axes, "seeds", "planned", "diverged", *measures])
    for row in table.rows:
        found = [row.estimates.get(column.key) for column in table.columns]
        values = [
            x for one in found for x in ((one.mean, one.low, one.high) if one else [None] * 3)
        ]
        finite = ["" if x is None or not isfinite(x) else repr(float(x)) for x in values]
        writer.writerow([*row.settings, row.seeds, row.planned, row.diverged, *finite])
    return buffer.getvalue()


def _titles(table: Table) -> list[str]:
    return [*table.axes, "seeds", *(column.title for column in table.columns)]


def _texts(table: Table, row: Row) -> list[str]:
    measures = [" ".join(filter(None, cell(table, row, column))) for column in table.columns]
    return [*row.settings, str(row.seeds), *measures]


def _latex_cell(text: str) -> str:
    """A cell; numbers are set as mathematics, so that their minus signs are."""
    if re.fullmatch(r"[−\d.,\[\] ]*\d[−\d.,\[\] ]*", text):
        return f"${text.replace('−', '-').replace(' [', '$ $[')}$"
    return latex_escape(text)
