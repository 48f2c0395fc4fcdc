"""index.html of a tier: its figures with their captions, its claims and its tables."""

from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vaebench.claims.ledger_text import POWER_TEXT, mark, survives_text
from vaebench.files import write_atomically
from vaebench.reporting.content import content_of
from vaebench.results.read import Results


def write_report(results: Results) -> Path:
    """Write the tier's page from its figures, tables and claims.

    It refers to the figures beside it and needs no network.
    """
    environment = Environment(
        loader=PackageLoader("vaebench.reporting"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"mark": mark, "survives": survives_text, "html_table": _html_table}
    content = vars(content_of(results)) | {"power_text": POWER_TEXT}
    page = environment.get_template("report.html").render(content)
    write_atomically(results.layout.report, page.encode())
    return results.layout.report


def _html_table(numbers: pd.DataFrame) -> Markup:
    """A table whose text is escaped."""
    html = numbers.to_html(
        index=False, float_format="{:.2f}".format, na_rep="–", border=0, escape=True
    )
    return Markup(html)
