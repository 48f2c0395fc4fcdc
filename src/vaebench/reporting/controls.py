"""docs/controls.md: the questions of the tier `controls`, what decides them, and the answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vaebench.claims.ledger import Judged
from vaebench.claims.paper import OwnClaim, own_claims
from vaebench.claims.select import Dim, latent_dim
from vaebench.experiment.grid import Experiment
from vaebench.experiment.settings import format_value
from vaebench.experiment.tier import Tier
from vaebench.paths import Layout
from vaebench.reporting.markdown import render, write_page
from vaebench.reporting.statements import answer_of, ledger_of

WHERE = ", n = {n}"
"""The end of a statement that is judged at several latent dimensions."""
DIMS: tuple[Dim, ...] = ("low", "high")


@dataclass(frozen=True)
class Row:
    """A statement of an experiment, with the answer at each latent dimension."""

    question: str
    """The experiment's description. Empty in all rows of an experiment but the first."""
    control: str
    """What it changes against the tier's first experiment, empty likewise."""
    says: str
    expects: str
    answers: list[str]
    """At the low and at the high latent dimension, empty where nothing is claimed."""


def write_controls(tier: Tier, layout: Layout, page: Path, check: bool = False) -> list[Path]:
    """Write the page of a tier whose claims answer the questions of its experiments.

    Args:
        tier: the tier. Its first experiment is what the others change.
        layout: its results. Without a ledger there, the page says that nothing was run.
        page: the file to write.
        check: whether only to look if the file is not what it would be.

    Returns:
        The page, if it was not already so.

    Raises:
        UserError: the ledger is of other claims than the tier's.
    """
    rows = list(_rows(tier, ledger_of(tier, layout)))
    dims = [latent_dim(tier.experiments[0], n) for n in DIMS]
    values = {"tier": tier.tier, "rows": rows, "dims": dims, "seeds": _seeds(tier)}
    return write_page(page, render("controls.md", values), check)


def _rows(tier: Tier, ledger: Mapping[str, Judged]) -> Iterator[Row]:
    claims = own_claims(tier)
    for experiment in tier.experiments:
        grouped: dict[tuple[str, str], dict[str, OwnClaim]] = {}
        for claim in claims:
            if claim.experiment == experiment.name:
                key = (claim.says.removesuffix(WHERE), f"{claim.expects} {claim.unit}")
                grouped.setdefault(key, {})[str(claim.arguments.get("n", "low"))] = claim
        question, control = experiment.description, _control(experiment, tier.experiments[0])
        for (says, expects), by_dim in grouped.items():
            answers = [answer_of(by_dim.get(n), ledger) for n in DIMS]
            yield Row(question, control, says, expects, answers)
            question = control = ""


def _control(experiment: Experiment, plain: Experiment) -> str:
    """The settings and objectives that an experiment has and the plain one has not."""
    settings = [
        f"`{name}: {format_value(value)}`"
        for name, value in experiment.settings.items()
        if plain.settings.get(name) != value
    ]
    known = plain.axes.get("objective", [])
    others = [f"`{one}`" for one in experiment.axes.get("objective", []) if one not in known]
    return ", ".join(others + settings) or "none"


def _seeds(tier: Tier) -> int:
    return len(tier.experiments[0].axes.get("seed", []))
