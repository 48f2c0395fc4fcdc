"""What the two pages of a tier show: its figures, claims, tables, machines and experiments.

Nothing here is HTML or Markdown yet, except for the tables, which are files of the tier.
"""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from vaebench.claims.ledger import Judged, parts_of, verdict_counts
from vaebench.claims.ledger_text import others_text, pairing_text, power_table, verdicts_text
from vaebench.errors import UserError
from vaebench.experiment.figures import FIGURES
from vaebench.files import read_content
from vaebench.plain_text import plural
from vaebench.provenance.figure_metadata import figure_metadata
from vaebench.reading.parsing import parsing
from vaebench.reading.text import LARGEST, read_text
from vaebench.reporting.answers import Answers, answers_of
from vaebench.reporting.statements import read_ledger
from vaebench.reporting.text import attested_counts
from vaebench.results.read import Results, training_text

AGAIN = "make the table again, with `vaebench table`"
SAME = {"bits": "the same bits", "rounding": "the same numbers up to rounding"}
"""What code computes that is attested at each level."""


@dataclass(frozen=True)
class ShownFigure:
    """A figure with its caption."""

    name: str
    number: int | None
    """Its number in the paper. None for another figure."""
    title: str
    caption: str
    was_run: bool
    """Whether any run that it shows was trained."""
    claims: list[Judged]
    """The claims whose place in the paper names this figure."""
    counts: dict[str, int]
    """How many of them have each verdict."""


@dataclass(frozen=True)
class ShownExperiment:
    """An experiment with its table."""

    name: str
    description: str
    runs: int
    planned: int
    training: str
    """How long its runs are trained, such as `200 epochs`."""
    diverged: int
    hours: float
    """Of training."""
    numbers: pd.DataFrame
    """Its table with every column."""
    table: str
    """Its table for reading, in Markdown."""


@dataclass(frozen=True)
class Content:
    """All that is shown of a tier."""

    tier: str
    runs: int
    """How many different runs are trained. Several experiments may have one."""
    planned: int
    machines: list[str]
    """A line for each kind of device: how many runs it trained, and how long."""
    attested: list[str]
    """A sentence for each level of attestation that runs rest on."""
    commits: list[str]
    """The commits that runs were trained at, abbreviated."""
    experiments: list[ShownExperiment]
    claims: list[Judged]
    """The paper's that the tier bears on."""
    counts: dict[str, int]
    """How many of them have each verdict."""
    tests: str
    """How many of them are tested, how many verdicts survive a correction for that number, and what
    marks mean."""
    own_claims: list[Judged]
    """The claims of the tier's config."""
    own_tests: str
    pairing: str
    """What the pairing of runs by seed has brought to all these claims."""
    power: pd.DataFrame
    """What the seeds of each claim can decide."""
    others: str
    """A sentence about the paper's claims that are not among these. Empty if all are."""
    answers: list[Answers]
    """What the experiments say of the values that they compare."""
    figures: list[ShownFigure]


def content_of(results: Results) -> Content:
    """Everything that the pages of a tier show, from its figures, tables and claims.

    Raises:
        UserError: a figure is missing or says nothing about its runs.
    """
    _check_made(results)
    claims, own, others = parts_of(read_ledger(results.layout.claims("json")))
    return Content(
        tier=results.tier.tier,
        runs=results.runs["run_hash"].nunique(),
        planned=len({run.settings.digest for _, run in results.tier.runs}),
        machines=list(_machines(results.runs)),
        attested=[
            f"{count} run{'s rest' if count > 1 else ' rests'} on an attestation ({level}): other "
            f"code trained {'them' if count > 1 else 'it'}, which computes {SAME[level]} as this "
            "checkout's."
            for level, count in attested_counts(results.runs).items()
        ],
        commits=sorted({str(commit)[:12] for commit in results.runs["commit"].dropna()}),
        experiments=[_experiment(results, e.name) for e in results.tier.experiments],
        claims=claims,
        counts=verdict_counts(claims),
        tests=verdicts_text(claims),
        own_claims=own,
        own_tests=verdicts_text(own),
        pairing=pairing_text([*own, *claims]),
        power=power_table([*own, *claims]),
        others=others_text(others) if others else "",
        answers=answers_of(results),
        figures=[_figure(results, name, claims) for name in results.tier.figures],
    )


def _check_made(results: Results) -> None:
    layout, tier = results.layout, results.tier
    needed = [layout.claims("json")]
    needed += [layout.table(one.name, "md") for one in tier.experiments]
    needed += [layout.figure(name, "png") for name in tier.figures]
    if missing := [path for path in needed if not path.exists()]:
        raise UserError(
            f"{missing[0]} is missing: `vaebench report --make` makes it, and all else that the "
            "page shows"
        )


def _figure(results: Results, name: str, claims: Sequence[Judged]) -> ShownFigure:
    known = re.fullmatch(r"fig(\d+)", name)
    number = int(known[1]) if known else None
    about = [claim for claim in claims if number in _figures_of(claim.place)]
    metadata = figure_metadata(results.layout.figure(name, "png"))
    return ShownFigure(
        name=name,
        number=number,
        title=metadata["Title"].partition(": ")[2],
        caption=read_text(results.layout.caption(name), "draw the figure again").strip(),
        was_run=bool(metadata["Records"].split()) or not FIGURES[name].needs,
        claims=about,
        counts=verdict_counts(about),
    )


def _experiment(results: Results, name: str) -> ShownExperiment:
    runs, planned = results.of(name), results.planned(name)
    table = read_text(results.layout.table(name, "md"), AGAIN)
    csv = results.layout.table(name, "csv")
    with parsing(csv, "a table of numbers", AGAIN):
        numbers = pd.read_csv(io.BytesIO(read_content(csv, "", LARGEST)))
    return ShownExperiment(
        name=name,
        description=results.tier.experiment(name).description,
        runs=len(runs),
        planned=len(planned),
        training=training_text(planned),
        diverged=int((runs["status"] == "diverged").sum()),
        hours=_hours(runs),
        numbers=numbers,
        table=re.sub(r"\n<!-- .* -->\n\Z", "", table).strip(),
    )


def _machines(runs: pd.DataFrame) -> Iterator[str]:
    for (device, processor), group in runs.groupby(["device", "processor"], sort=True):
        threads = "/".join(str(int(n)) for n in sorted(group["threads"].unique()))
        of_threads = f", {plural(threads, 'thread')} a job" if device == "cpu" else ""
        count = group["run_hash"].nunique()
        on = f"{processor} ({device}{of_threads})"
        yield f"{plural(count, 'run')} on {on}, {_hours(group):.1f} hours"


def _hours(runs: pd.DataFrame) -> float:
    """Hours of training; the runs of a pack share theirs, and a run may be in two experiments."""
    once = runs.drop_duplicates("run_hash")
    return float((once["seconds"] / once["packed_runs"]).sum() / 3600)


def _figures_of(place: str) -> set[int]:
    return {int(number) for number in re.findall(r"Fig\. (\d+)", place)}
