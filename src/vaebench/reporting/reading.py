"""docs/reading.md: a reading of the published results. Its numbers come from their ledgers."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, tanh
from pathlib import Path

import pandas as pd

from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import Judged
from vaebench.claims.paper import own_claims
from vaebench.experiment.tier import Tier, load_tier
from vaebench.paths import Layout
from vaebench.reporting.evidence import Line, lines_of
from vaebench.reporting.markdown import render, write_page
from vaebench.reporting.statements import read_ledger
from vaebench.results.read import Results, load_results

WORDS = {
    Verdict.REPRODUCED: "reproduced",
    Verdict.COMPATIBLE: "compatible",
    Verdict.DIFFERS: "not reproduced",
    Verdict.INCONCLUSIVE: "undecided",
    Verdict.NOT_RUN: "not run yet",
}
MAIN = "posterior_variance"
MISSING = "*not measured yet*"


@dataclass(frozen=True)
class Numbers:
    """What the template takes its numbers from, and how it writes them."""

    claims: Mapping[str, Judged | None]
    """Of the paper tier, and of the tier `evidence` what the paper tier does not decide. None for
    its own claims if it is not published."""
    paper: pd.DataFrame
    """The collected runs of the paper tier."""
    lines: Mapping[str, list[Line]]
    """The evidence by experiment of the tier `evidence`."""
    equations: pd.DataFrame
    """The table of the equations. Empty if there is none."""

    def value(self, claim: str, digits: int = 2, sign: int = 1) -> str:
        """The value of a claim with its interval; with `sign=-1`, of the opposite difference."""
        line = self.claims[claim]
        if line is None or line.value is None:
            return MISSING
        if line.low is None or line.high is None:
            return _number(sign * line.value, digits)
        low, high = sorted((sign * line.low, sign * line.high))
        return _interval(sign * line.value, low, high, digits)

    def verdict(self, claim: str) -> str:
        """The verdict as a word, marked."""
        line = self.claims[claim]
        return f"**{WORDS[Verdict.NOT_RUN if line is None else line.verdict]}**"

    def seeds(self, claim: str) -> int:
        """The number of seeds of a claim."""
        line = self.claims[claim]
        return line.seeds if line else 0

    def correlation(self, claim: str) -> str:
        """Of a claim whose value is Fisher's z."""
        line = self.claims[claim]
        return MISSING if line is None or line.value is None else _number(tanh(line.value), 2)

    def odds(self, claim: str) -> str:
        """The exponential of a log ratio."""
        line = self.claims[claim]
        return MISSING if line is None or line.value is None else _number(exp(line.value), 2)

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
        runs = self.paper
        own = runs[
            (runs["experiment"] == MAIN)
            & (runs["objective"] == objective)
            & (runs["latent_dim"] == n)
        ]
        return f"{_number(own['test_elbo'].min(), 1)} and {_number(own['test_elbo'].max(), 1)}"

    def evidence(self, experiment: str, objective: str, n: int) -> Line | None:
        """What is known of the evidence of an objective."""
        fits = (
            line
            for line in self.lines.get(experiment, [])
            if (line.objective, line.n) == (objective, n)
        )
        return next(fits, None)

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


def write_reading(results: Results, evidence: Tier, page: Path, check: bool = False) -> list[Path]:
    """Write the page.

    Args:
        results: the published paper tier.
        evidence: the tier `evidence`. Its results are beside those of the paper tier.
        page: the file to write.
        check: whether only to look if the file is not what it would be.

    Returns:
        The page, if it was not already so.
    """
    layout = Layout(results.layout.root.with_name(evidence.tier))
    claims: dict[str, Judged | None] = {claim.id: None for claim in own_claims(evidence)}
    claims |= {line.id: line for line in read_ledger(results.layout.claims("json"))}
    lines: dict[str, list[Line]] = {}
    equations = pd.DataFrame()
    if layout.runs.exists():
        measured = load_results(layout.root)
        own = read_ledger(layout.claims("json"))
        claims |= {
            line.id: line for line in own if line.source == "own" or line.id.startswith("eq")
        }
        lines = {one.name: lines_of(one, measured)[0] for one in evidence.experiments}
        if layout.equation_table("csv").exists():
            equations = pd.read_csv(layout.equation_table("csv"))
    numbers = Numbers(claims, results.runs, lines, equations)
    distinct = int(results.runs["run_hash"].nunique())
    planned = len({run.settings.digest for _, run in load_tier(results.layout.config).runs})
    values = {"x": numbers, "runs": distinct, "planned": planned, "missing": MISSING}
    return write_page(page, render("reading.md", values), check)


def _interval(value: float, low: float | None, high: float | None, digits: int = 2) -> str:
    text = _number(value, digits)
    if low is None or high is None:
        return text
    return f"{text} [{_number(low, digits)}, {_number(high, digits)}]"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")
