"""docs/ranking.md: objectives ranked by evidence, on each dataset of the tier `peers`."""

from dataclasses import dataclass
from math import comb
from pathlib import Path

import pandas as pd

from vaebench.claims.paper import own_claims
from vaebench.experiment.grid import Experiment
from vaebench.experiment.tier import Tier
from vaebench.paths import Layout
from vaebench.plain_text import plural
from vaebench.reporting.markdown import picture, render, write_page
from vaebench.reporting.methods import methods_of
from vaebench.reporting.statements import Row, ledger_of, rows_of
from vaebench.results.intervals import Estimate, estimate
from vaebench.results.known_evidence import MOST_ERROR, by_seed, known_evidence
from vaebench.results.ranking import Place, ranking
from vaebench.results.read import Results, load_results

COLUMN = "evidence_mean"
BESIDE = {
    "evidence_elbo": 2,
    "evidence_gap": 2,
    "sample_kid": 3,
    "sample_coverage": 3,
    "test_active_units": 1,
    "steps_per_second": 0,
}
"""What the table has beside the evidence: means over seeds with this number of digits."""


@dataclass(frozen=True)
class Line:
    """A method. All texts but its name are numbers, or empty where nothing is measured."""

    rank: str
    letters: str
    method: str
    seeds: int
    evidence: str
    """The mean over seeds with its 95% interval, in nats per image."""
    beside: list[str]
    """In the order of `BESIDE`."""


@dataclass(frozen=True)
class Ranked:
    """What an experiment says."""

    description: str
    measured: int
    planned: int
    lines: list[Line]
    statements: list[Row]
    first: list[str]
    """The methods that no other one is better than."""
    told_apart: int
    """The number of pairs of methods of which one is better than the other."""
    pairs: int
    """The number of pairs of methods that have a rank."""

    @property
    def summary(self) -> str:
        """Which methods may be the best. Empty if none has a rank."""
        if not self.first:
            return ""
        best = self.first[0] if len(self.first) == 1 else f"one of: {'; '.join(self.first)}"
        return (
            f"Of the methods with a rank, the best is {best}. Of {plural(self.pairs, 'pair')} of "
            f"methods, {self.told_apart} can be told apart."
        )


def write_ranking(tier: Tier, layout: Layout, page: Path, check: bool = False) -> list[Path]:
    """Write the page of the tier `peers`.

    Args:
        tier: the tier.
        layout: its results. Without any, the page says that nothing was run.
        page: the file to write; it refers to figures by relative paths.
        check: whether only to look if the file is not what it would be.

    Returns:
        The page, if it was not already so.

    Raises:
        UserError: the ledger is of other claims than the tier's.
    """
    values = {
        "tier": tier.tier,
        "experiments": ranked(tier, layout),
        "most_error": f"{MOST_ERROR:g}",
        "picture": picture(layout, "fig_ranking", page.parent),
    }
    return write_page(page, render("ranking.md", values), check)


def ranked(tier: Tier, layout: Layout) -> list[Ranked]:
    """What each experiment of the tier `peers` says.

    Args:
        tier: the tier.
        layout: its results. They may be missing.

    Raises:
        UserError: the ledger is of other claims than the tier's.
    """
    results = load_results(layout.root) if layout.runs.exists() else None
    claims, ledger = own_claims(tier), ledger_of(tier, layout)
    return [
        _ranked(one, _measured(one, results), list(rows_of(claims, one, ledger)))
        for one in tier.experiments
    ]


def _ranked(experiment: Experiment, runs: pd.DataFrame, statements: list[Row]) -> Ranked:
    own = {} if runs.empty else dict(methods_of(experiment, runs))
    places = ranking({name: by_seed(rows) for name, rows in own.items()})
    with_rank = [place for place in places if place.first is not None]
    return Ranked(
        description=experiment.description,
        measured=len(runs),
        planned=sum(len(cell.runs) for cell in experiment.cells),
        lines=[_line(place, own[place.method]) for place in places],
        statements=statements,
        first=[place.method for place in with_rank if place.first == 1],
        told_apart=sum((place.first or 1) - 1 for place in with_rank),
        pairs=comb(len(with_rank), 2),
    )


def _measured(experiment: Experiment, results: Results | None) -> pd.DataFrame:
    """The runs of an experiment whose evidence is measured, and those that diverged."""
    runs = pd.DataFrame() if results is None else results.of(experiment.name)
    if COLUMN not in runs:
        return runs.iloc[:0]
    return runs[runs[COLUMN].notna() | (runs["status"] == "diverged")]


def _line(place: Place, rows: pd.DataFrame) -> Line:
    if "evidence_gap" in rows:
        rows = rows.assign(evidence_gap=known_evidence(rows, "evidence_gap"))
    means = {column: estimate(rows[column].tolist()).mean for column in BESIDE if column in rows}
    return Line(
        rank=place.rank.replace("-", "–"),
        letters=place.letters,
        method=place.method,
        seeds=len(rows),
        evidence=_interval(place.mean),
        beside=[_number(means.get(column), digits) for column, digits in BESIDE.items()],
    )


def _interval(mean: Estimate) -> str:
    if mean.count > 1 and mean.low == mean.low:
        return f"{_number(mean.mean, 2)} [{_number(mean.low, 2)}, {_number(mean.high, 2)}]"
    return _number(mean.mean, 2) or "not known"


def _number(value: float | None, digits: int) -> str:
    return "" if pd.isna(value) else f"{value:.{digits}f}".replace("-", "−")
