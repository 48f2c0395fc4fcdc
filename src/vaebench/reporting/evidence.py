"""docs/evidence_results.md: objectives by the evidence that was measured, and the equations."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vaebench.claims.paper import own_claims
from vaebench.experiment.grid import Experiment
from vaebench.experiment.tier import Tier
from vaebench.paths import Layout
from vaebench.reporting.markdown import picture, render, write_page
from vaebench.reporting.statements import Row, ledger_of, rows_of
from vaebench.results.intervals import estimate
from vaebench.results.read import Results, load_results

COLUMNS = {"mean": "evidence_mean", "bound": "evidence_elbo", "gap": "evidence_gap"}
"""What is shown as a mean over seeds with its interval, by its name in the template."""


@dataclass(frozen=True)
class Line:
    """The evidence of an objective with one n, over seeds. The texts have intervals, in nats."""

    objective: str
    n: int
    seeds: int
    mean: str
    bound: str
    gap: str
    median_gap: str
    """The mean over seeds of the median gap over images."""
    method: str


@dataclass(frozen=True)
class Measured:
    """What an experiment says."""

    description: str
    planned: int
    lines: list[Line]
    """By falling evidence at each n. Empty if nothing is measured."""
    is_log_likelihood: bool
    statements: list[Row]


def write_evidence(tier: Tier, layout: Layout, page: Path, check: bool = False) -> list[Path]:
    """Write the page of the tier `evidence`.

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
    results = load_results(layout.root) if layout.runs.exists() else None
    claims, ledger = own_claims(tier), ledger_of(tier, layout)
    experiments = {
        one.name: Measured(
            one.description,
            sum(len(cell.runs) for cell in one.cells),
            *lines_of(one, results),
            list(rows_of(claims, one, ledger)),
        )
        for one in tier.experiments
        if one.evidence_plan is not None
    }
    values = {
        "tier": tier.tier,
        "experiments": experiments,
        "pictures": {name: picture(layout, name, page.parent) for name in tier.figures},
        "equations": layout.equation_table("md").exists(),
    }
    return write_page(page, render("evidence.md", values), check)


def lines_of(experiment: Experiment, results: Results | None) -> tuple[list[Line], bool]:
    """The lines of an experiment, and whether their evidence is a log-likelihood."""
    if results is None:
        return [], False
    runs = results.of(experiment.name)
    if COLUMNS["mean"] not in runs:
        return [], False
    runs = runs[runs[COLUMNS["mean"]].notna()]
    lines = sorted(_groups(runs), key=lambda item: (item[1].n, -item[0]))
    return [line for _, line in lines], bool(runs["evidence_is_log_likelihood"].all())


def _groups(runs: pd.DataFrame) -> Iterator[tuple[float, Line]]:
    for _, group in runs.groupby(["objective", "latent_dim"]):
        texts = {name: _interval(group[column]) for name, column in COLUMNS.items()}
        median = f"{group['evidence_gap_median'].mean():.2f}"
        methods = " and ".join(sorted(set(group["evidence_method"])))
        images = " and ".join(f"{int(k):,}" for k in sorted(set(group["evidence_images"])))
        line = Line(
            str(group["objective"].iloc[0]), int(group["latent_dim"].iloc[0]), len(group), **texts,
            median_gap=median.replace("-", "−"), method=f"{methods}, {images} images",
        )  # fmt: skip
        yield float(group[COLUMNS["mean"]].mean()), line


def _interval(values: "pd.Series[float]") -> str:
    found = estimate(list(values))
    text = f"{found.mean:.2f}"
    if found.count > 1:
        text += f" [{found.low:.2f}, {found.high:.2f}]"
    return text.replace("-", "−")
