"""docs/controls.md: the questions of the tier `controls`, what decides them, and the answers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import Judged
from vaebench.claims.paper import OwnClaim, own_claims
from vaebench.claims.select import Dim, latent_dim
from vaebench.errors import UserError
from vaebench.experiment.grid import Experiment
from vaebench.experiment.settings import format_value
from vaebench.experiment.tier import Tier
from vaebench.files import write_atomically
from vaebench.paths import Layout
from vaebench.reporting.text import escape

ANSWERS = {
    Verdict.REPRODUCED: "**yes**",
    Verdict.DIFFERS: "**no**",
    Verdict.INCONCLUSIVE: "*undecided*",
}
"""How the verdict on a statement answers it."""
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
    environment = Environment(
        loader=PackageLoader("vaebench.reporting"),
        autoescape=False,  # for Markdown, not HTML: the template escapes its texts
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": escape}
    dims = [latent_dim(tier.experiments[0], n) for n in DIMS]
    template = environment.get_template("controls.md")
    text = template.render(tier=tier.tier, rows=rows, dims=dims, seeds=_seeds(tier))
    if page.exists() and page.read_text() == text:
        return []
    if not check:
        write_atomically(page, text.encode())
    return [page]


def ledger_of(tier: Tier, layout: Layout) -> dict[str, Judged]:
    """The lines of a tier's own claims by their id. Empty if the tier was not judged."""
    path = layout.claims("json")
    if not path.exists():
        return {}
    lines = [Judged.model_validate_json(json.dumps(x)) for x in _read(path)]
    known = {line.id: line for line in lines if line.source == "own"}
    for claim in own_claims(tier):
        line = known.get(claim.id)
        if line is None or (line.expects, line.unit) != (claim.expects, claim.unit):
            raise UserError(
                f"{path} does not judge claim '{claim.id}' as the tier's config has it "
                f"({claim.expects} {claim.unit}): judge the tier again"
            )
    return known


def _read(path: Path) -> Sequence[object]:
    lines: Sequence[object] = json.loads(path.read_text())["claims"]
    return lines


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


def answer_of(claim: OwnClaim | None, ledger: Mapping[str, Judged]) -> str:
    """The answer to a claim with its number and interval; empty if there is no claim."""
    if claim is None:
        return ""
    line = ledger.get(claim.id)
    if line is None or line.value is None or line.verdict not in ANSWERS:
        return "not run yet" if line is None or line.verdict == Verdict.NOT_RUN else "*undecided*"
    interval = "" if line.low is None else f" [{shown(line.low)}, {shown(line.high)}]"
    return f"{ANSWERS[line.verdict]} {shown(line.value)}{interval}"


def shown(value: float | None) -> str:
    """A number with two digits."""
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _seeds(tier: Tier) -> int:
    return len(tier.experiments[0].axes.get("seed", []))
