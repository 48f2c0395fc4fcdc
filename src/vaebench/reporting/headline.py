"""The answer to the paper's first question: does BILBO, with a constant variance, cost anything?

The sentences and the table are written from the ledger of a published tier. Only the wording of
each possible verdict stands here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import Judged
from vaebench.claims.ledger_text import AFTER_SEEING, mark

Pair = tuple[str | None, str | None]
"""The ids of a claim at the low and at the high latent dimension. None where there is no claim."""

NO_DETRIMENT: Pair = ("section43-no-detriment-bilbo", "section43-no-detriment-bilbo-high")
LEAD: Pair = ("fig04a-bilbo", "fig04b-bilbo")
TRAINING: Pair = ("beside-fig04a-bilbo-training", "beside-fig04b-bilbo-training")
OVERFITTING: Pair = ("beside-fig04a-bilbo-gap", "beside-fig04b-bilbo-gap")

ROWS: tuple[tuple[str, Pair], ...] = (
    ("BILBO costs less than 1 nat of the test bound", NO_DETRIMENT),
    ("BILBO reaches a larger test bound than learned variances", LEAD),
    (
        "Learned variances lag behind BILBO during training",
        ("fig04a-bilbo-lag", "fig04b-bilbo-lag"),
    ),
    ("BILBO reaches a larger bound on the training set", TRAINING),
    ("BILBO and learned variances overfit alike", OVERFITTING),
    ("BILBO uses more latent dimensions", (None, "beside-fig04b-bilbo-units")),
    ("Samples of both have the same KID", ("fig04c-bilbo-low", "fig04c-bilbo")),
    (
        "Samples of both cover the test set equally well, by the odds of coverage",
        ("fig04c-bilbo-coverage-low", "fig04c-bilbo-coverage"),
    ),
    ("Codes of both are distributed alike", ("fig05-bilbo", None)),
    (
        "The prior N(0, I) of learned variances has the variance of Eq. 4",
        ("eq4-trace", "eq4-trace-high"),
    ),
    ("A learned T makes the bound fluctuate", ("fig06a-fluctuates-low", "fig06a-fluctuates")),
    (
        "With T = I, samples are worse at the largest scale of the data",
        ("fig06a-large-scale-low", "fig06a-large-scale"),
    ),
    (
        "With BAGGINS, samples do not depend on the scale of the data",
        ("fig06b-invariant-low", "fig06b-invariant"),
    ),
)
"""What the table of the README shows: a statement, and the claims that decide it."""

COST = {
    Verdict.REPRODUCED: "a constant variance (BILBO) costs less than {margin} of the test bound",
    Verdict.DIFFERS: "a constant variance (BILBO) costs more than {margin} of the test bound",
    Verdict.INCONCLUSIVE: "whether a constant variance (BILBO) costs more than {margin} of the "
    "test bound is undecided",
}
"""What each verdict on `NO_DETRIMENT` says."""
BETTER = {
    Verdict.REPRODUCED: "its bound is the larger one",
    Verdict.DIFFERS: "its bound is the smaller one",
    Verdict.INCONCLUSIVE: "which bound is larger is undecided",
}
"""What each verdict on `LEAD` says."""


@dataclass(frozen=True)
class Row:
    """A statement with its verdicts."""

    statement: str
    criterion: str
    """Where the 95% interval has to lie, with its unit."""
    low: str
    """The verdict with the value and its interval at the low latent dimension, in Markdown."""
    high: str
    """The same at the high one."""


@dataclass(frozen=True)
class Headline:
    """What the README says first of a published tier."""

    sentences: list[str]
    """The answer, then its numbers. Empty if none of its claims is among those of the tier."""
    dims: tuple[str, str]
    """The low and the high latent dimension, such as `n = 2`."""
    rows: list[Row]
    marked: str
    """The mark of rows whose claim was written when runs had been seen. Empty if none has it."""


def headline_of(claims: Sequence[Judged]) -> Headline:
    """The answer and the table, from the claims of the paper that a tier bears on."""
    by_id = {claim.id: claim for claim in claims}

    def pair(ids: Pair) -> list[Judged | None]:
        return [by_id.get(one) if one else None for one in ids]

    low, high = pair(LEAD)
    dims = (_dim(low, "low n"), _dim(high, "high n"))
    rows = [
        Row(statement, _criterion(found), _cell(found[0]), _cell(found[1]))
        for statement, ids in ROWS
        if any(found := pair(ids))
    ]
    sentences = []
    if low or high:
        sentences = [
            _decided(pair(NO_DETRIMENT), (low, high), dims),
            _on_the_test_set((low, high), dims),
            _on_the_training_set(pair(TRAINING), pair(OVERFITTING), dims),
        ]
    marked = any(AFTER_SEEING in cell for row in rows for cell in (row.low, row.high))
    return Headline(sentences, dims, rows, AFTER_SEEING * marked)


def _on_the_test_set(lead: Sequence[Judged | None], dims: Sequence[str]) -> str:
    measured = [claim for claim in lead if claim and claim.value is not None]
    if not measured:
        return "The test bounds of BILBO and of learned variances are not measured yet."
    seeds = " and ".join(dict.fromkeys(str(claim.seeds) for claim in measured))
    where = re.match(r"([\w-]+), .*?([\d/]+ (?:epochs|steps))", measured[0].runs)
    trained = f" on `{where[1]}` after {where[2]}" if where else ""
    return (
        f"The test bound of BILBO minus that of learned variances{trained} is "
        f"{_values(lead, dims)} (mean over {seeds} paired seeds, with its 95% interval)."
    )


def _decided(
    cost: Sequence[Judged | None], lead: Sequence[Judged | None], dims: Sequence[str]
) -> str:
    margin = next((abs(_limit(claim) or 0) for claim in cost if claim), 0.0)
    shown = f"{margin:g} nat{'s' * (margin != 1)}"
    parts = [
        f"{words.format(margin=shown)} {places}"
        for found, meaning in ((cost, COST), (lead, BETTER))
        for verdict, words in meaning.items()
        if (places := _places(found, verdict, dims))
    ]
    if not parts:
        return "Nothing is decided yet."
    answer = _listed(parts)
    if not any(_places(cost, verdict, dims) for verdict in COST):
        answer = answer.replace("its bound", "the test bound of a constant variance (BILBO)", 1)
        answer = answer.replace("which bound", "which test bound")
    return f"**{answer[0].upper()}{answer[1:]}.**"


def _on_the_training_set(
    training: Sequence[Judged | None], gap: Sequence[Judged | None], dims: Sequence[str]
) -> str:
    return (
        f"On the training set the difference is {_values(training, dims)}; the gap between the "
        f"training and test bound, of BILBO minus learned variances, is {_values(gap, dims)}."
    )


def _values(claims: Sequence[Judged | None], dims: Sequence[str]) -> str:
    return " and ".join(
        f"{_value(claim, ' nats')} at {dim}"
        if claim and claim.value is not None
        else f"not measured at {dim}"
        for claim, dim in zip(claims, dims, strict=True)
    )


def _places(claims: Sequence[Judged | None], verdict: Verdict, dims: Sequence[str]) -> str:
    found = [
        dim for claim, dim in zip(claims, dims, strict=True) if claim and claim.verdict == verdict
    ]
    if len(found) == len(dims):
        return "at both n"
    return f"at {found[0]}" if found else ""


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _dim(claim: Judged | None, name: str) -> str:
    found = re.search(r"n = \d+", claim.says) if claim else None
    return found[0] if found else name


def _cell(claim: Judged | None) -> str:
    if claim is None:
        return "–"
    value = f" {_value(claim)}" if claim.value is not None else ""
    value += f", {claim.only_part}" if claim.only_part else ""
    return f"**{claim.verdict}**{mark(claim)}{value}"


def _criterion(claims: Sequence[Judged | None]) -> str:
    claim = next(claim for claim in claims if claim)
    limit = _limit(claim)
    if limit is None or not claim.unit.startswith("log "):
        return f"{claim.expects} {claim.unit}".replace("-", "−")
    what = claim.unit.removeprefix("log ")
    return f"{claim.expects.split()[0]} a factor of {exp(limit):.2g}, {what}"


def _limit(claim: Judged) -> float | None:
    found = re.search(r"-?[\d.]+$", claim.expects)
    return float(found[0]) if found else None


def _value(claim: Judged, unit: str = "") -> str:
    """The value, its unit and its interval. A difference of logarithms is shown as a factor."""
    numbers = [x for x in (claim.value, claim.low, claim.high) if x is not None]
    is_log = claim.unit.startswith("log ")
    if is_log:
        numbers = [exp(x) for x in numbers]
    size = max(map(abs, numbers))
    digits = 0 if size >= 100 else 1 if size >= 2 and not is_log else 2
    mean, *interval = [f"{x:.{digits}f}".replace("-", "−") for x in numbers]
    shown = f"× {mean}" if is_log else f"{mean}{unit}"
    return f"{shown} [{', '.join(interval)}]" if len(interval) == 2 else f"{shown} (one seed)"
