"""docs/reading.md: a reading of the published results. Its numbers come from their tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, tanh
from pathlib import Path
from typing import Any

import pandas as pd

from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import UNTRAINED, Judged
from vaebench.claims.paper import Claim, PaperValues, load_paper_values, own_claims
from vaebench.experiment.tier import Tier
from vaebench.paths import PAPER_VALUES, Layout
from vaebench.plain_text import plural
from vaebench.reporting.collapse import Collapse, collapse_of
from vaebench.reporting.evidence import COLUMNS, Line, lines_of
from vaebench.reporting.markdown import render, write_page
from vaebench.reporting.questions import in_short
from vaebench.reporting.ranking import ranked
from vaebench.reporting.statements import read_ledger
from vaebench.reporting.sweeps import (
    Fall,
    Sweep,
    ends,
    joined,
    largest_falls,
    number,
    of_sweeps,
    sweep,
)
from vaebench.results.intervals import CONFIDENCE
from vaebench.results.read import Results, load_results, ranges

WORDS = {
    Verdict.REPRODUCED: "reproduced",
    Verdict.COMPATIBLE: "compatible",
    Verdict.DIFFERS: "not reproduced",
    Verdict.INCONCLUSIVE: "undecided",
    Verdict.NOT_RUN: "not run yet",
}
MAIN = "posterior_variance"
CONTROLS = "controls"
"""The tier whose runs test the page's guesses."""
MISSING = "*not measured yet*"
Scale = Callable[[float], float]


@dataclass(frozen=True)
class Numbers:
    """What the template takes its numbers from, and how it writes them."""

    claims: Mapping[str, Judged | None]
    """Of the paper tier, and of the tier `evidence` what the paper tier does not decide. None for
    its own claims if it is not published."""
    paper: PaperValues
    """The paper's own numbers, and the limits of its claims."""
    results: Results
    """The published paper tier."""
    lines: Mapping[str, list[Line]]
    """The evidence by experiment of the tier `evidence`."""
    measured: pd.DataFrame
    """The runs of that tier's experiment `evidence` on which it is measured. Empty if there are
    none."""
    equations: pd.DataFrame
    """The table of the equations. Empty if there is none."""

    def value(self, claim: str, digits: int = 2, scale: Scale = float) -> str:
        """The value of a claim with its interval, each put through a rising function."""
        line = self.claims[claim]
        if line is None or line.value is None:
            return MISSING
        low, high = (None if end is None else scale(end) for end in (line.low, line.high))
        return _interval(scale(line.value), low, high, digits)

    def correlation(self, claim: str) -> str:
        """Of a claim whose value is Fisher's z."""
        return self.value(claim, scale=tanh)

    def odds(self, claim: str) -> str:
        """The exponential of a log ratio."""
        return self.value(claim, scale=exp)

    def verdict(self, claim: str) -> str:
        """The verdict as a word, marked."""
        line = self.claims[claim]
        return f"**{WORDS[Verdict.NOT_RUN if line is None else line.verdict]}**"

    def judged(self, claim: str) -> str:
        """The verdict, with the value, the number of seeds and the only part, if there are any.

        A log ratio is shown as a factor.
        """
        line = self.claims[claim]
        if line is None or line.value is None:
            return self.verdict(claim)
        is_log = line.unit.startswith("log ")
        value = f"× {self.odds(claim)}" if is_log else self.value(claim)
        details = [value, plural(line.seeds, "seed"), line.only_part]
        return f"{self.verdict(claim)} ({', '.join(filter(None, details))})"

    def seeds(self, claim: str) -> str:
        """The number of seeds of a claim, with the noun."""
        line = self.claims[claim]
        return plural(line.seeds if line else 0, "seed")

    def holds(self, *claims: str) -> bool:
        """Whether all of these claims are reproduced."""
        lines = [self.claims[claim] for claim in claims]
        return all(line and line.verdict == Verdict.REPRODUCED for line in lines)

    def fails(self, claim: str) -> bool:
        """Whether the claim is not reproduced, and that is decided."""
        line = self.claims[claim]
        return line is not None and line.verdict == Verdict.DIFFERS

    def tally(self, *claims: str) -> str:
        """How many of these claims are reproduced."""
        return f"{sum(self.holds(claim) for claim in claims)} of {len(claims)}"

    def is_above_0(self, claim: str) -> bool:
        """Whether the whole interval of a claim lies above 0."""
        line = self.claims[claim]
        return bool(line and line.low is not None and line.low > 0)

    def apart_from_0(self, *claims: str) -> list[str]:
        """Those of these claims whose interval excludes 0."""
        lines = {claim: self.claims[claim] for claim in claims}
        return [
            claim
            for claim, line in lines.items()
            if line and line.low is not None and line.high is not None
            if not line.low <= 0 <= line.high
        ]

    def untrained(self, names: Mapping[str, str]) -> list[str]:
        """The names of those of these claims that untrained networks meet too."""
        lines = {claim: self.claims[claim] for claim in names}
        return [names[claim] for claim, line in lines.items() if line and UNTRAINED in line.reason]

    def limit(self, claim: str, scale: Scale = float, digits: int | None = None) -> str:
        """The limit or margin of a claim of the paper, without its sign."""
        value = scale(abs(_limit(next(c for c in self.paper.claims if c.id == claim))))
        return f"{value:g}" if digits is None else number(value, digits)

    def nats(self, claim: str) -> str:
        """The limit of a claim in nats, with the unit."""
        return plural(self.limit(claim), "nat")

    def factor(self, claim: str) -> str:
        """The limit of a claim on a log ratio, as a factor."""
        return self.limit(claim, exp, 1)

    def printed(self, name: str) -> list[str]:
        """The numbers that the paper prints, in nats."""
        return [number(value, 1) for value in self._printed(name)]

    def excludes(self, claim: str, name: str) -> bool:
        """Whether the interval of a claim excludes the number that the paper prints."""
        line, (value, *_) = self.claims[claim], self._printed(name)
        if line is None or line.low is None or line.high is None:
            return False
        return not line.low <= value <= line.high

    def predicted(self, name: str) -> list[Judged]:
        """The lines of the ledger on the numbers that the paper prints."""
        values = self._printed(name)
        ids = [f"{name}-{k + 1}" for k in range(len(values))] if len(values) > 1 else [name]
        return [line for one in ids if (line := self.claims[one])]

    def inside(self, name: str) -> int:
        """How many of the paper's numbers lie in what our runs predict."""
        return sum(
            line.low <= value <= line.high
            for line, value in zip(self.predicted(name), self._printed(name), strict=True)
            if line.low is not None and line.high is not None
        )

    def _printed(self, name: str) -> list[float]:
        return next(one for one in self.paper.numbers if one.id == name).values

    def narrower_without_pairing(self) -> str:
        """In how many differences of the paper's claims Welch's interval is the narrower one."""
        widths = [
            (line.high - line.low, line.welch[1] - line.welch[0])
            for line in self.claims.values()
            if line and line.source == "paper" and line.welch
            if line.low is not None and line.high is not None
        ]
        return f"{sum(welch < paired for paired, welch in widths)} of {len(widths)}"

    def range_of(self, objective: str, n: int) -> str:
        """The smallest and the largest test bound of the main comparison."""
        own = self.results.of(MAIN, objective=objective, latent_dim=n)["test_elbo"]
        return f"{number(own.min(), 1)} and {number(own.max(), 1)}"

    def collapse(self, n: int) -> Collapse | None:
        """The runs of the main comparison with learned variances, by the dimensions they use."""
        return collapse_of(self.results, MAIN, n)

    def falls(self, objectives: list[str], n: int) -> list[Fall]:
        """The largest fall of each run of the main comparison, the largest first."""
        return largest_falls(self.results, MAIN, objective=objectives, latent_dim=n)

    def sweep(self, experiment: str, axis: str, column: str, **settings: Any) -> Sweep | None:
        """The mean of a column over seeds along an axis."""
        return sweep(self.results, experiment, axis, column, **settings)

    def largest_change(self, claim: str, digits: int, scale: Scale = float) -> str:
        """Of a claim with a part for each value of an axis: the mean that is farthest from 0."""
        line = self.claims[claim]
        if line is None or not line.parts:
            return MISSING
        means = [pd.Series(part, dtype=float).mean(skipna=False) for part in line.parts.values()]
        return number(scale(max(map(abs, means))), digits)

    def evidence(self, experiment: str, objective: str, n: int) -> Line | None:
        """What is known of the evidence of an objective."""
        fits = (
            line
            for line in self.lines.get(experiment, [])
            if (line.objective, line.n) == (objective, n)
        )
        return next(fits, None)

    def gap(self, objective: str, n: int) -> str:
        """By how much the bound lies below the evidence, with its interval, in nats."""
        line = self.evidence("evidence", objective, n)
        return line.gap if line else MISSING

    def measured_seeds(self) -> str:
        """The seeds on which the evidence is measured."""
        return "" if self.measured.empty else ranges(self.measured["seed"].astype(int))

    def measured_images(self) -> str:
        """The number of test images on which the evidence is measured."""
        return joined(f"{count:,.0f}" for count in sorted(set(self.measured["evidence_images"])))

    def equation(self, statistic: str, objective: str, n: int, state: str = "trained") -> str:
        """A statistic of the equations in the main comparison, with its interval."""
        table = self.equations
        if table.empty:
            return MISSING
        own = table[
            (table["experiment"] == MAIN)
            & (table["runs"] == f"objective {objective}, latent_dim {n}")
            & (table["statistic"] == statistic)
        ]
        if own.empty:
            return MISSING
        row = own.iloc[0]
        low, high = (row[f"{state}_{end}"] for end in ("low", "high"))
        return _interval(row[f"{state}_mean"], None if pd.isna(low) else low, high)


def write_reading(
    results: Results,
    evidence: Tier,
    questions: Tier,
    peers: Tier,
    page: Path,
    check: bool = False,
    paper_values: Path = PAPER_VALUES,
) -> list[Path]:
    """Write the page.

    Args:
        results: the published paper tier.
        evidence: the tier `evidence`. Its results and those of the next two are beside those of the
            paper tier. They may be missing.
        questions: the tier `questions`, or its reduced form.
        peers: the tier `peers`.
        page: the file to write.
        check: whether only to look if the file is not what it would be.
        paper_values: the file with the paper's numbers and claims.

    Returns:
        The page, if it was not already so.
    """
    layout, of_questions, of_peers = (
        Layout(results.layout.root.with_name(tier.tier)) for tier in (evidence, questions, peers)
    )
    claims: dict[str, Judged | None] = {claim.id: None for claim in own_claims(evidence)}
    claims |= {line.id: line for line in read_ledger(results.layout.claims("json"))}
    lines: dict[str, list[Line]] = {}
    equations, measured = pd.DataFrame(), pd.DataFrame()
    if layout.runs.exists():
        found = load_results(layout.root)
        claims |= {
            line.id: line
            for line in read_ledger(layout.claims("json"))
            if line.source == "own" or (line.id.startswith("eq") and not _decides(claims, line.id))
        }
        lines = {one.name: lines_of(one, found)[0] for one in evidence.experiments}
        if COLUMNS["mean"] in found.runs:
            measured = found.of("evidence")
            measured = measured[measured[COLUMNS["mean"]].notna()]
        if layout.equation_table("csv").exists():
            equations = pd.read_csv(layout.equation_table("csv"))
    paper = load_paper_values(paper_values)
    numbers = Numbers(claims, paper, results, lines, measured, equations)
    reduced, answers = in_short(questions, of_questions)
    values = {
        "x": numbers,
        "reduced": reduced,
        "answers": answers,
        "ranked": ranked(peers, of_peers),
        "runs": int(results.runs["run_hash"].nunique()),
        "planned": len({run.settings.digest for _, run in results.tier.runs}),
        "controls": Layout(results.layout.root.with_name(CONTROLS)).runs.exists(),
        "binary": {
            run.settings.objective: run.settings
            for cell in evidence.experiment("objectives").cells
            for run in cell.runs
        },
        "missing": MISSING,
        "confidence": f"{CONFIDENCE:.0%}",
        "ends": ends,
        "exp": exp,
        "interval": _interval,
        "joined": joined,
        "number": number,
        "plural": plural,
        **of_sweeps(results),
    }
    return write_page(page, render("reading.md", values), check)


def _decides(claims: Mapping[str, Judged | None], claim: str) -> bool:
    """Whether these have runs that bear on a claim."""
    line = claims.get(claim)
    return line is not None and line.verdict != Verdict.NOT_RUN


def _limit(claim: Claim) -> float:
    criteria = (claim.above, claim.below, claim.within, claim.exactly)
    return next(criterion for criterion in criteria if criterion is not None)


def _interval(value: float, low: float | None, high: float | None, digits: int = 2) -> str:
    text = number(value, digits)
    if low is None or high is None:
        return text
    return f"{text} [{number(low, digits)}, {number(high, digits)}]"
