"""The claims of a tier as statements with answers, for pages that put them as questions."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import Judged
from vaebench.claims.paper import OwnClaim, own_claims
from vaebench.errors import UserError
from vaebench.experiment.grid import Experiment
from vaebench.experiment.tier import Tier
from vaebench.paths import Layout
from vaebench.reading.parsing import parsing
from vaebench.reading.text import read_object

Ledger = Mapping[str, Judged]
AGAIN = "judge the tier again, with `vaebench claims`"
NOT_PRINTED = "not in the paper"
"""What a claim beside those of the paper says in place of the paper's number."""
ANSWERS = {
    Verdict.REPRODUCED: "**yes**",
    Verdict.DIFFERS: "**no**",
    Verdict.INCONCLUSIVE: "*undecided*",
}
"""How the verdict on a statement answers it."""
AT = re.compile(r", (n = (?:\d+|\{n\}))$")
"""The end of a statement that is judged at several numbers of latent dimensions."""
OF_EXPERIMENT = {"low": min, "high": max}
"""Which of an experiment's latent dimensions a claim is about that does not name it."""


@dataclass(frozen=True)
class Row:
    """A statement, what decides it, and the answers."""

    says: str
    expects: str
    answers: str


def ledger_of(tier: Tier, layout: Layout) -> dict[str, Judged]:
    """The lines of a tier's own claims by their id. Empty if the tier was not judged."""
    path = layout.claims("json")
    if not path.exists():
        return {}
    known = {line.id: line for line in read_ledger(path) if line.source == "own"}
    for claim in own_claims(tier):
        line = known.get(claim.id)
        if line is None or (line.expects, line.unit) != (claim.expects, claim.unit):
            raise UserError(
                f"{path} does not judge claim '{claim.id}' as the tier's config has it "
                f"({claim.expects} {claim.unit}): judge the tier again"
            )
    return known


def read_ledger(path: Path) -> list[Judged]:
    """The lines of a tier's ledger.

    Raises:
        UserError: the file is missing, damaged or of another version.
    """
    values = read_object(path, AGAIN)
    with parsing(path, "a ledger of claims", AGAIN):
        return [Judged.model_validate_json(json.dumps(line)) for line in values["claims"]]


def rows_of(claims: Sequence[OwnClaim], experiment: Experiment, ledger: Ledger) -> Iterator[Row]:
    """The statements about an experiment, each with its answers at all n."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for claim in claims:
        if claim.experiment == experiment.name:
            at = AT.search(claim.says)
            chosen = OF_EXPERIMENT.get(str(claim.arguments.get("n")), max)
            n = chosen(run.settings.latent_dim for cell in experiment.cells for run in cell.runs)
            place = f"{at[1]}: ".replace("{n}", str(n)) if at else ""
            key = (AT.sub("", claim.says), f"{claim.expects} {claim.unit}")
            grouped.setdefault(key, []).append(place + answer_of(claim, ledger))
    for (says, expects), answers in grouped.items():
        yield Row(says, expects, "; ".join(answers))


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
