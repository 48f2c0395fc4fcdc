"""The claims of a tier as the page shows them: verdict, interval, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from markupsafe import Markup

from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import Judged
from vaebench.claims.ledger_text import mark, survives_text
from vaebench.page.drawing import Region, interval_drawing, region_of
from vaebench.reporting import numbers
from vaebench.reporting.content import ShownFigure
from vaebench.reporting.statements import NOT_PRINTED

ORDER = (
    Verdict.DIFFERS,
    Verdict.INCONCLUSIVE,
    Verdict.COMPATIBLE,
    Verdict.REPRODUCED,
    Verdict.NOT_RUN,
)
"""Verdicts as they are sorted: first those that ask for a look."""


@dataclass(frozen=True)
class Card:
    """A claim."""

    id: str
    says: str
    place: str
    is_own: bool
    verdict: str
    mark: str
    value: str
    interval: str
    unit: str
    expects: str
    drawing: Markup
    reason: str
    why: list[tuple[str, str]]
    """Statistic, runs and power, each with its name."""
    figures: list[str]
    """The figures of this page that it is about."""
    rank: int
    """The place of its verdict in `ORDER`."""
    distance: float
    """How far the value is from the nearest limit, in halves of the interval's width. 0 without an
    interval. It is the smaller, the closer the verdict is to another one."""


def cards_of(claims: Sequence[Judged], figures: Sequence[ShownFigure]) -> list[Card]:
    """A card for each claim, in their order."""
    places: dict[str, list[str]] = {}
    for figure in figures:
        for claim in figure.claims:
            places.setdefault(claim.id, []).append(figure.name)
    return [_card(claim, places) for claim in claims]


def _card(claim: Judged, figures: Mapping[str, list[str]]) -> Card:
    region = region_of(claim.expects)
    digits = numbers.decimals(claim.low, claim.high, region.limits)
    if claim.low is None or claim.low == claim.high:
        value = numbers.significant(claim.value)
    else:
        value = numbers.number(claim.value, digits)
    interval = numbers.interval(claim.low, claim.high, digits)
    label = f"{value} {interval} {claim.unit}; the claim: {claim.expects}"
    return Card(
        id=claim.id,
        says=claim.says.replace("-", "−") if claim.interval == "prediction" else claim.says,
        place=claim.place,
        is_own=claim.source == "own",
        verdict=claim.verdict.value,
        mark=mark(claim).strip(),
        value=value,
        interval=interval,
        unit=claim.unit,
        expects=claim.expects.replace("-", "−"),
        drawing=interval_drawing(claim.value, claim.low, claim.high, region, label),
        reason=claim.reason,
        why=list(_why(claim)),
        figures=figures.get(claim.id, []),
        rank=ORDER.index(claim.verdict),
        distance=_distance(claim, region),
    )


def _why(claim: Judged) -> list[tuple[str, str]]:
    rows = [("statistic", claim.statistic)]
    if claim.paper and claim.paper != NOT_PRINTED:
        rows.append(("the paper prints", claim.paper.replace("-", "−")))
    if claim.runs:
        rows.append(("runs", claim.runs))
    if claim.low is None or claim.high is None:
        return rows
    half = numbers.significant((claim.high - claim.low) / 2, 2)
    kind = "of a single run" if claim.interval == "prediction" else "Student's t"
    rows.append(("95% interval", f"± {half} {claim.unit}, {kind}, {claim.seeds} seeds"))
    if claim.std is not None:
        rows.append(("deviation over seeds", numbers.significant(claim.std, 2)))
    if claim.detectable is not None:
        shown = numbers.significant(claim.detectable, 2)
        told = f"as many new seeds decide {shown} {claim.unit} from the limit with a power of 80%"
        rows.append(("power", told))
    if claim.p is not None:
        small = "< 0.0001" if claim.p < 1e-4 else numbers.significant(claim.p, 2)
        rows.append(("p, two-sided", f"{small}; survives correction: {survives_text(claim)}"))
    if claim.welch:
        digits = numbers.decimals(*claim.welch)
        text = numbers.interval(*claim.welch, digits)
        correlation = numbers.significant(claim.correlation, 2)
        rows.append(("without pairing", f"{text}; the two sides correlate by {correlation}"))
    return rows


def _distance(claim: Judged, region: Region) -> float:
    if claim.value is None or claim.low is None or claim.high is None or claim.low == claim.high:
        return 0.0
    near = min((abs(claim.value - limit) for limit in region.limits), default=inf)
    return 0.0 if near == inf else near / ((claim.high - claim.low) / 2)
