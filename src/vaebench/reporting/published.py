"""The pages of this repository that show a published tier, written from its files alone."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from vaebench.claims.ledger import Judged, Verdict
from vaebench.errors import UserError
from vaebench.experiment.figures import FIGURES
from vaebench.files import write_atomically
from vaebench.provenance.figure_metadata import figure_metadata
from vaebench.results.read import Results, training_text
from vaebench.workflow.rules import DEFAULT_TIER

BEGIN, END = "<!-- results: begin; `make pages` writes this part -->", "<!-- results: end -->"
README_FIGURES = ("fig04", "fig05", "fig13")


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
    text = readme.read_text()
    before, _, rest = text.partition(f"{BEGIN}\n")
    _, found, after = rest.partition(END)
    if not found:
        raise UserError(f"{readme} lacks the lines '{BEGIN}' and '{END}' around what is written")
    part = _render("readme.md", results, readme.parent, page)
    wanted = {
        page: _render("results.md", results, page.parent, page),
        readme: f"{before}{BEGIN}\n{part}{END}{after}",
    }
    changed = [path for path, new in wanted.items() if not path.exists() or path.read_text() != new]
    if not check:
        for path in changed:
            write_atomically(path, wanted[path].encode())
    return changed


def _render(template: str, results: Results, folder: Path, page: Path) -> str:
    environment = Environment(
        loader=PackageLoader("vaebench"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": _cell, "number": _number}
    layout = results.layout
    lines = json.loads(layout.claims("json").read_text())["claims"]
    claims = [Judged.model_validate_json(json.dumps(line)) for line in lines]
    figures = [_figure(results, name, claims, folder) for name in results.tier.figures]
    return environment.get_template(template).render(
        tier=results.tier.tier,
        folder=_from(folder, layout.root),
        page=_from(folder, page),
        command=_command(results.tier.tier),
        runs=len(results.runs),
        planned=len(results.tier.runs),
        experiments=[_experiment(results, e.name) for e in results.tier.experiments],
        machines=list(_machines(results.runs)),
        commits=sorted({str(commit)[:12] for commit in results.runs["commit"].dropna()}),
        verdicts=list(Verdict),
        counts=_counts(claims),
        claims=claims,
        figures=figures,
        shown=[figure for figure in figures if figure["name"] in README_FIGURES],
    )


def _figure(results: Results, name: str, claims: Sequence[Judged], folder: Path) -> dict[str, Any]:
    path = results.layout.figure(name, "png")
    about = [claim for claim in claims if _number_of(name) in _figures_of(claim.place)]
    caption = results.layout.caption(name).read_text().strip()
    was_run = bool(figure_metadata(path)["Records"].split()) or not FIGURES[name].shows
    return {
        "name": name,
        "number": _number_of(name),
        "title": FIGURES[name].title,
        "path": _from(folder, path),
        "anchor": _anchor(f"Figure {_number_of(name)}: {FIGURES[name].title}"),
        "caption": caption,
        "shown": caption.partition("Shown: ")[2],
        "was_run": was_run,
        "claims": about,
        "counts": _counts(about),
    }


def _experiment(results: Results, name: str) -> dict[str, Any]:
    experiment, runs = results.tier.experiment(name), results.of(name)
    table = results.layout.table(name, "md").read_text()
    return {
        "name": name,
        "description": experiment.description,
        "runs": len(runs),
        "planned": len(results.planned(name)),
        "training": training_text(results.planned(name)),
        "diverged": int((runs["status"] == "diverged").sum()),
        "hours": _hours(runs),
        "table": re.sub(r"\n<!-- .* -->\n\Z", "", table).strip(),
    }


def _machines(runs: pd.DataFrame) -> Iterator[str]:
    """Each kind of device that trained, and how long."""
    for (device, processor), group in runs.groupby(["device", "processor"], sort=True):
        threads = "/".join(str(int(n)) for n in sorted(group["threads"].unique()))
        of_threads = f", {threads} thread{'s' * (threads != '1')} a job" if device == "cpu" else ""
        count = group["run_hash"].nunique()
        yield f"{count} runs on {processor} ({device}{of_threads}), {_hours(group):.1f} hours"


def _hours(runs: pd.DataFrame) -> float:
    """Hours of training; the runs of a pack share theirs, and a run may be in two experiments."""
    once = runs.drop_duplicates("run_hash")
    return float((once["seconds"] / once["packed_runs"]).sum() / 3600)


def _counts(claims: Sequence[Judged]) -> dict[str, int]:
    counts = Counter(claim.verdict for claim in claims)
    return {verdict.value: counts[verdict] for verdict in Verdict}


def _number_of(figure: str) -> int:
    return int(figure.removeprefix("fig"))


def _figures_of(place: str) -> set[int]:
    return {int(number) for number in re.findall(r"Fig\. (\d+)", place)}


def _anchor(heading: str) -> str:
    """What a heading of Markdown is called in links to it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _command(tier: str) -> str:
    option = "" if tier == DEFAULT_TIER else f" --configfile config/{tier}.yaml"
    return f"snakemake --cores all{option}"


def _from(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return text.replace("|", "\\|") or "–"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}".replace("-", "−")
