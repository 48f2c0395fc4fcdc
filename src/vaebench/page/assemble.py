"""Writes index.html of a tier, with the files of codes beside it."""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vaebench import __version__
from vaebench.claims.judge import Verdict
from vaebench.claims.ledger_text import POWER_TEXT
from vaebench.data.registry import DATASETS
from vaebench.files import write_atomically
from vaebench.page import charts
from vaebench.page.answer import answer_tables, cell
from vaebench.page.bundle import packed_vega
from vaebench.page.claims import Card, cards_of
from vaebench.page.codes import PICTURES, write_codes
from vaebench.page.copies import copies_of
from vaebench.page.curves import METRICS, curves_of, t_quantiles
from vaebench.page.figures import figures_of_page
from vaebench.page.runs import ShownRun, shown_runs
from vaebench.reporting.content import content_of
from vaebench.results.read import Results

SCRIPTS = ("common", "charts", "claims", "curves", "codes", "figures", "runs", "start")
"""The parts of the page's own script, in their order. Together they are one module."""


@dataclass(frozen=True)
class ShownData:
    """A dataset that runs were trained on."""

    name: str
    description: str
    digest: str


def write_page(results: Results) -> Path:
    """Write the page of a tier from its collected runs, figures, tables and claims.

    The page is one file that needs no network and nothing beside it but the codes, which it loads
    when a person asks for them, and in a thin copy the figures. Equal results give equal bytes.

    Raises:
        UserError: a figure, a table or the ledger is missing.
    """
    content = content_of(results)
    runs = shown_runs(results)
    tables = answer_tables(results, content.answers)
    curves = curves_of(results)
    has_codes = write_codes(results, runs)
    cards = {
        "own": cards_of(content.own_claims, content.figures),
        "paper": cards_of(content.claims, content.figures),
    }
    data = {
        "tier": content.tier,
        "copies": {table.experiment: copies_of(table) for table in tables if table.rows},
        "curves": curves,
        "metrics": METRICS,
        "quantiles": t_quantiles(curves),
        "charts": {"curves": charts.curves_chart(), "codes": charts.codes_chart()},
        "colours": {"groups": charts.COLOURS, "labels": charts.LABELS},
        "pictures": PICTURES,
        "codes": [
            {
                "key": run.key,
                "file": f"codes/{run.facts['place']}.js",
                "experiment": run.experiment,
                "name": _run_name(run),
                "codes": has_codes[run.key],
            }
            for run in runs
            if run.key in has_codes
        ],
        "facts": _shared_facts(runs),
    }
    shown = [card for part in cards.values() for card in part]
    page = (
        _environment()
        .get_template("page.html")
        .render(
            content=content,
            version=__version__,
            datasets=_datasets(runs),
            tables=tables,
            runs=runs,
            cards=cards,
            counts=_counts(shown),
            power_text=POWER_TEXT.replace("*", ""),
            figures=figures_of_page(results, content.figures, runs),
            has_codes=any(has_codes.values()),
            without_codes=len(runs) - len(has_codes),
            hours=sum({run.run_hash: run.seconds for run in runs}.values()) / 3600,
            places=len(runs),
            data=_json_for_html(data),
            style=Markup(_text("page.css")),
            script=Markup("\n".join(_text(f"script/{name}.js") for name in SCRIPTS)),
            vega=packed_vega(),
        )
    )
    write_atomically(results.layout.report, page.encode())
    return results.layout.report


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vaebench.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["cell"] = cell
    return environment


def _text(name: str) -> str:
    return (files("vaebench.page") / "templates" / name).read_text(encoding="utf-8")


def _json_for_html(data: Any) -> Markup:
    """JSON that may stand in an element `script`, whatever its texts are."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(
        text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )


def _counts(cards: list[Card]) -> dict[str, int]:
    """How many claims have each verdict, those that were found only."""
    counts: dict[str, int] = {}
    for verdict in Verdict:
        counts[verdict.value] = sum(card.verdict == verdict for card in cards)
    return {verdict: count for verdict, count in counts.items() if count}


def _run_name(run: ShownRun) -> str:
    return f"{run.settings}, seed {run.seed}" if run.settings else f"seed {run.seed}"


def _shared_facts(runs: list[ShownRun]) -> dict[str, Any]:
    """What each run was made from, with each text written once."""
    texts: dict[str, int] = {}
    lines = {
        run.key: [
            texts.setdefault(f"{name:8} {text}", len(texts)) for name, text in run.facts.items()
        ]
        for run in runs
    }
    return {"texts": list(texts), "runs": lines}


def _datasets(runs: list[ShownRun]) -> list[ShownData]:
    """The datasets, each with the digest that the records of its runs name."""
    found: dict[str, ShownData] = {}
    for run in runs:
        digest, _, rest = run.facts["data"].partition(" ")
        name = rest.partition(":")[0]
        found.setdefault(name, ShownData(name, DATASETS[name].description, digest))
    return list(found.values())
