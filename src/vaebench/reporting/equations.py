"""The table of equations: a line a statistic and group of runs, over its seeds."""

from pathlib import Path
from typing import Any

import pandas as pd

from vaebench.claims.judge import Verdict, judge
from vaebench.claims.paper import Claim, load_paper_values
from vaebench.experiment.equations import EQUATION_STATISTICS, STATES
from vaebench.experiment.settings import format_value
from vaebench.files import write_atomically
from vaebench.plain_text import escape
from vaebench.provenance.account import account, as_comment
from vaebench.provenance.stages import table_digest
from vaebench.results.equations import equation_values
from vaebench.results.intervals import estimate
from vaebench.results.read import Results, varying

WORDS = {Verdict.REPRODUCED: "holds", Verdict.DIFFERS: "does not hold"}
UNDECIDED = "undecided"
IDENTITY = "equation_violations"
"""The statistic of claims that an identity holds to rounding, in each run."""


def write_equations(results: Results, paper_values: Path) -> None:
    """Write the table as CSV and as Markdown."""
    claims = load_paper_values(paper_values).claims
    table = equations_table(results, claims)
    used = results.runs.merge(equation_values(results)[["experiment", "folder"]].drop_duplicates())
    made_from = as_comment(account(used["metrics_digest"], table_digest(), paper_values))
    texts = {"csv": table.to_csv(index=False), "md": to_markdown(table) + made_from}
    for extension, text in texts.items():
        write_atomically(results.layout.equation_table(extension), text.encode())


def margins(claims: list[Claim]) -> dict[str, Claim]:
    """The claim of each statistic whose margin the table uses: the first that names it, trained.

    That of an identity is only used if there is no other.
    """
    found: dict[str, Claim] = {}
    for statistic in ("equation", IDENTITY):
        for claim in claims:
            given = claim.arguments
            if claim.statistic == statistic and given.get("state", "trained") == "trained":
                found.setdefault(str(given["name"]), claim)
    return found


def equations_table(results: Results, claims: list[Claim]) -> pd.DataFrame:
    """The table, with a line for each experiment, group of runs and statistic.

    `holds_*` says whether the 95% interval over seeds lies inside the margin of the paper's claim,
    for each state. It is empty where no claim names the statistic or nothing is measured.
    """
    values, known = equation_values(results), margins(claims)
    values = values[values["statistic"].isin(EQUATION_STATISTICS)]
    lines: list[dict[str, Any]] = []
    for experiment in results.tier.experiments:
        axes = varying(experiment)
        runs = results.of(experiment.name)[["folder", "seed", *axes]]
        own = values[values["experiment"] == experiment.name].merge(runs, on="folder")
        if own.empty:
            continue
        groups: Any = own.groupby(axes, sort=False, dropna=False) if axes else [((), own)]
        for group, rows in groups:
            named = dict(zip(axes, group, strict=True)).items()
            text = ", ".join(f"{a} {format_value(v)}" for a, v in named if v == v)
            for name in EQUATION_STATISTICS:
                of_name = rows[rows["statistic"] == name]
                if not of_name.empty:
                    key = {"experiment": experiment.name, "runs": text}
                    lines.append(key | _line(name, of_name, known.get(name)))
    return pd.DataFrame(lines)


def _margin(claim: Claim) -> str:
    if claim.statistic == IDENTITY:
        return f"±{float(claim.arguments['margin']):g}, each run"
    return claim.expects


def _line(name: str, rows: pd.DataFrame, claim: Claim | None) -> dict[str, Any]:
    """What a line has on one statistic."""
    known = EQUATION_STATISTICS[name]
    line: dict[str, Any] = {
        "equation": known.equation,
        "statistic": name,
        "says": known.says,
        "unit": known.unit,
        "margin": _margin(claim) if claim else "",
    }
    for state in STATES:
        sample = rows[rows["state"] == state].sort_values("seed")["value"].astype(float).tolist()
        mean = estimate(sample)
        line |= {
            f"{state}_seeds": mean.count,
            f"{state}_mean": mean.mean,
            f"{state}_low": mean.low,
            f"{state}_high": mean.high,
            f"holds_{state}": holds(claim, sample) if claim and sample else "",
        }
    return line


def holds(claim: Claim, values: list[float]) -> str:
    """Whether the values of seeds meet the claim: holds, does not hold, or undecided."""
    if claim.statistic == IDENTITY:
        limit = float(claim.arguments["margin"])
        return WORDS[
            Verdict.REPRODUCED if all(abs(v) <= limit for v in values) else Verdict.DIFFERS
        ]
    return WORDS.get(judge(claim, {"": values}).verdict, UNDECIDED)


def to_markdown(table: pd.DataFrame) -> str:
    """The table for reading, an experiment and group of runs after the other."""
    lines = [
        "# The paper's equations on trained networks",
        "",
        "Means over seeds with their 95% intervals. *Refined*: the same decoder with the best "
        "Gaussian of the encoder's family for each test image, instead of the encoder's. "
        "*Initial*: the weights before the first step; what they pass too proves nothing. A margin "
        "is that of the paper's claim, see the ledger.",
    ]
    if table.empty:
        return "\n".join([*lines, "", "Nothing is measured."]) + "\n"
    heads = ("Eq.", "statistic", "unit", "margin", "trained", "refined", "initial")
    for (experiment, runs), rows in table.groupby(["experiment", "runs"], sort=False):
        lines += ["", f"## {escape(f'{experiment}: {runs}')}", ""]
        lines += [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
        for _, row in rows.iterrows():
            cells = [row["equation"], f"{escape(row['says'])} (`{row['statistic']}`)"]
            cells += [row["unit"], row["margin"], *(_cell(row, state) for state in STATES)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: pd.Series, state: str) -> str:
    if not row[f"{state}_seeds"]:
        return ""
    if pd.isna(row[f"{state}_mean"]):
        return "not finite"
    text = f"{row[f'{state}_mean']:.3g}"
    if not pd.isna(row[f"{state}_low"]):
        text += f" ({row[f'{state}_low']:.3g} to {row[f'{state}_high']:.3g})"
    verdict = row[f"holds_{state}"]
    return f"{text}: {verdict}" if verdict else text
