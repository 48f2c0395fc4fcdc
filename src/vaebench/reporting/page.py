"""The page that shows a tier's figures with their captions, and its tables."""

import json
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from vaebench.experiment.figures import FIGURES
from vaebench.files import write_atomically
from vaebench.results.read import Results


def write_report(results: Results) -> Path:
    """Write the tier's page from its figures, tables and claims.

    It refers to the figures beside it and needs no network.
    """
    import pandas as pd

    environment = Environment(
        loader=PackageLoader("vaebench"), autoescape=select_autoescape(), undefined=StrictUndefined
    )
    layout = results.layout
    figures = [
        {
            "name": name,
            "title": FIGURES[name].title,
            "source": f"figures/{name}.svg",
            "caption": layout.caption(name).read_text(),
        }
        for name in results.tier.figures
    ]
    tables = [
        {
            "name": experiment.name,
            "description": experiment.description,
            "html": Markup(
                pd.read_csv(layout.table(experiment.name, "csv")).to_html(
                    index=False, float_format="{:.2f}".format, na_rep="–", border=0
                )
            ),
        }
        for experiment in results.tier.experiments
    ]
    ledger = json.loads(layout.claims("json").read_text())["claims"]
    page = environment.get_template("report.html").render(
        tier=results.tier.tier,
        runs=len(results.runs),
        planned=len(results.tier.runs),
        figures=figures,
        tables=tables,
        claims=ledger,
    )
    write_atomically(layout.report, page.encode())
    return layout.report
