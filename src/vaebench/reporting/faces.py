"""docs/celeba.md: the paper's CelebA experiment in numbers, without any image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vaebench.claims.ledger import Judged, parts_of
from vaebench.claims.ledger_text import mark, survives_text, verdicts_text
from vaebench.experiment.grid import Experiment
from vaebench.experiment.tier import Tier
from vaebench.paths import Layout
from vaebench.reporting import numbers
from vaebench.reporting.markdown import picture, render, write_page
from vaebench.reporting.methods import methods_of
from vaebench.reporting.statements import read_ledger
from vaebench.results.intervals import estimate
from vaebench.results.read import Results, load_results

COLUMNS = {
    "test_elbo": "bound, held-out images, nats",
    "train_objective": "objective, training images, nats",
    "test_rate": "rate, nats",
    "test_mse": "squared residual, held-out images",
    "train_mse": "squared residual, training images",
    "fitted_prior_trace": "tr S²",
}
"""Columns of the collected table, with their titles."""
TRACE_IN_STDS = "tr S² / σ²"
STANDARD = "standard"
"""The name of samples from N(0, I), which only learned variances are trained with."""
SPREADS = {
    "reconstructions": "variance over reconstructions",
    "fitted": "over samples, fitted prior",
    STANDARD: "over samples, N(0, I)",
}
"""Variances of a pixel, as shares of that over the images themselves."""
EXPERIMENT = "celeba"
FIGURE = "fig_faces"


@dataclass(frozen=True)
class Line:
    """A method, with a mean over seeds and its interval in each column."""

    method: str
    seeds: int
    diverged: int
    cells: list[str]


def write_faces(tier: Tier, layout: Layout, page: Path, check: bool = False) -> list[Path]:
    """Write the page of a tier with the paper's CelebA experiment.

    Args:
        tier: the tier.
        layout: its results. Without any, the page says that nothing was run.
        page: the file to write; it refers to the figure by a relative path.
        check: whether only to look if the file is not what it would be.

    Returns:
        The page, if it was not already so.

    Raises:
        UserError: the ledger cannot be read.
    """
    experiment = tier.experiment(EXPERIMENT)
    results = load_results(layout.root) if layout.runs.exists() else None
    runs = pd.DataFrame() if results is None else results.of(experiment.name)
    claims = _claims(layout)
    values = {
        "tier": tier.tier,
        "runs": len(runs),
        "planned": sum(len(cell.runs) for cell in experiment.cells),
        "columns": [*COLUMNS.values(), TRACE_IN_STDS, *SPREADS.values()],
        "lines": [] if results is None else _lines(results, experiment),
        "claims": claims,
        "tests": verdicts_text(claims),
        "picture": picture(layout, FIGURE, page.parent),
    }
    filters: dict[str, Callable[..., str]] = {
        "number": numbers.significant,
        "mark": mark,
        "survives": survives_text,
    }
    return write_page(page, render("celeba.md", values, filters), check)


def _claims(layout: Layout) -> list[Judged]:
    """The paper's claims about these runs."""
    path = layout.claims("json")
    return list(parts_of(read_ledger(path))[0]) if path.exists() else []


def _lines(results: Results, experiment: Experiment) -> list[Line]:
    found = []
    for method, rows in methods_of(experiment, results.of(experiment.name)):
        whole = rows[rows["status"] == "completed"]
        is_constant = bool(whole["posterior_std"].notna().all())
        spreads = [_shares(results, row) for _, row in whole.iterrows()]
        columns = [whole[name].tolist() for name in COLUMNS]
        in_stds = whole["fitted_prior_trace"] / whole["posterior_std"] ** 2
        columns.append(in_stds.tolist() if is_constant else [])
        columns += [
            [] if name == STANDARD and is_constant else [shares[name] for shares in spreads]
            for name in SPREADS
        ]
        cells = [_mean(values) for values in columns]
        found.append(Line(method, len(whole), len(rows) - len(whole), cells))
    return found


def _shares(results: Results, row: pd.Series) -> dict[str, float]:
    arrays = results.arrays(row)
    of_images = float(arrays["variation_inputs"])
    return {name: float(arrays[f"variation_{name}"]) / of_images for name in SPREADS}


def _mean(values: Sequence[float]) -> str:
    """A mean with its 95% interval; of one run, its value."""
    if not values:
        return numbers.NONE
    found = estimate(list(values))
    if found.count < 2 or found.low != found.low:
        return numbers.significant(found.mean)
    digits = numbers.decimals(found.low, found.high)
    shown = numbers.interval(found.low, found.high, digits)
    return f"{numbers.number(found.mean, digits)} {shown}".strip()
