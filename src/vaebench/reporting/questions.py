"""docs/questions.md: questions that people ask of every VAE, what decides them, and the answers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path

import pandas as pd

from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import Judged
from vaebench.claims.paper import own_claims
from vaebench.experiment.tier import Tier
from vaebench.paths import Layout
from vaebench.plain_text import plural
from vaebench.reporting.markdown import picture, render, write_page
from vaebench.reporting.statements import Ledger, ledger_of, rows_of, shown
from vaebench.results.intervals import estimate
from vaebench.results.read import load_results

QUADRANTS = ("one", "two", "three")
"""The numbers of quadrants that are observed, as claims and experiments name them."""
NOT_RUN = "Not run yet."
MATCHED = (2, 10, 20)
"""The numbers of latent dimensions of `latent_match`."""


@dataclass(frozen=True)
class Outputs:
    """What the encoder of one posterior family has to give, and what it cost."""

    n: int
    diagonal: int
    """2 n."""
    full: int
    """n (n + 3) / 2."""
    weights: int
    """The further weights of the full matrix's last layer."""
    megabytes: float
    """The matrices L of a batch, in memory."""
    steps: str
    """Training steps in a second, full against diagonal, as measured."""


def write_questions(tier: Tier, layout: Layout, page: Path, check: bool = False) -> list[Path]:
    """Write the page of the tier `questions`, or of its reduced form.

    Args:
        tier: the tier.
        layout: its results. Without a ledger there, the page says that nothing was run.
        page: the file to write; it refers to figures by relative paths.
        check: whether only to look if the file is not what it would be.

    Returns:
        The page, if it was not already so.

    Raises:
        UserError: the ledger is of other claims than the tier's.
    """
    ledger, claims = ledger_of(tier, layout), own_claims(tier)
    values = {
        "tier": tier.tier,
        "reduced": _reduced(tier),
        "rows": {one.name: list(rows_of(claims, one, ledger)) for one in tier.experiments},
        "answers": {name: make(ledger) for name, make in ANSWERS.items()},
        "pictures": {name: picture(layout, name, page.parent) for name in tier.figures},
        "outputs": list(_outputs(tier, layout)),
        "alone": _decoder_alone(tier, layout),
        "far": _far_from_limit(layout),
        "settings": tier.experiment("covariance").settings,
        "descriptions": {one.name: one.description for one in tier.experiments},
    }
    return write_page(page, render("questions.md", values), check)


def in_short(tier: Tier, layout: Layout) -> tuple[str, dict[str, str]]:
    """How the runs are smaller, if they are, and the main sentences of the answer to each question.

    These are the first one, and those that say how a saying stands, which they quote.

    Raises:
        UserError: the ledger is of other claims than the tier's.
    """
    ledger = ledger_of(tier, layout)
    whole = {name: make(ledger) for name, make in ANSWERS.items()}
    short = {
        name: [first, *(s for s in more if "“" in s)] for name, (first, *more) in whole.items()
    }
    return _reduced(tier), {name: " ".join(sentences) for name, sentences in short.items()}


def _reduced(tier: Tier) -> str:
    """How the runs of a reduced tier are smaller. Empty for the whole tier."""
    if not tier.tier.endswith("-reduced"):
        return ""
    runs = [run.settings for one in tier.experiments for cell in one.cells for run in cell.runs]
    seeds, epochs = {run.seed for run in runs}, max(run.epochs or 0 for run in runs)
    predicting = tier.experiment("one-quadrant").settings
    return (
        f"{plural(len(seeds), 'seed')} and at most {epochs} epochs. Where pixels are predicted, "
        f"the networks are smaller, too: layers of {predicting['hidden_units']} units, in batches "
        f"of {predicting['batch_size']} images"
    )


def _outputs(tier: Tier, layout: Layout) -> Iterator[Outputs]:
    experiment = tier.experiment("covariance")
    hidden, batch = (int(experiment.settings[key]) for key in ("hidden_units", "batch_size"))
    for dim in experiment.axes["latent_dim"]:
        n = int(dim)
        below = n * (n - 1) // 2
        yield Outputs(
            *(n, 2 * n, n * (n + 3) // 2, below * (hidden + 1), 4e-6 * batch * n * n),
            _steps(layout, n),
        )


def _steps(layout: Layout, n: int) -> str:
    """Steps in a second of `full` and `learned`, medians over runs on the same processor."""
    if not layout.runs.exists():
        return "not run yet"
    runs = load_results(layout.root).of("covariance", latent_dim=n)
    parts = []
    for processor, own in runs.groupby("processor"):
        speed = own.groupby("objective")["steps_per_second"].median()
        if {"full", "learned"} <= set(speed.index):
            parts.append(f"{speed['full']:.0f} against {speed['learned']:.0f} ({processor})")
    return "; ".join(parts) or "not run yet"


def _decoder_alone(tier: Tier, layout: Layout) -> str:
    """What draws of the prior say of log p(x), beside those of the encoder. Empty if not run."""
    plan = tier.experiment("posterior_variance").dependence_plan
    rows = _measured(layout, "posterior_variance", "learned", "dependence_log_p_mc")
    if plan is None or not len(rows):
        return ""
    parts = []
    for n, own in rows.groupby("latent_dim"):
        by = {end: _mean(own[f"dependence_log_p_{end}"]) for end in ("mc", "is")}
        parts.append(f"{by['mc']} nats at n = {n} (the encoder's draws: {by['is']})")
    return f"By {plan.draws} draws of N(0, I), log p(x) is at least {', '.join(parts)}."


def _far_from_limit(layout: Layout) -> str:
    """The share of images whose importance weights are too uneven, by objective."""
    rows = _measured(layout, "one-quadrant", None, "dependence_shape_is_high")
    shares = rows[rows["objective"] != "plain"].groupby("objective")["dependence_shape_is_high"]
    return ", ".join(f"{100 * share:.0f}% for `{name}`" for name, share in shares.mean().items())


def _measured(layout: Layout, experiment: str, objective: str | None, column: str) -> pd.DataFrame:
    """The runs of an experiment that have a number in a column."""
    if not layout.runs.exists():
        return pd.DataFrame(columns=["objective", column])
    at = {} if objective is None else {"objective": objective}
    rows = load_results(layout.root).of(experiment, **at)
    return rows[rows[column].notna()] if column in rows else rows.iloc[:0].assign(**{column: []})


def _mean(values: "pd.Series[float]") -> str:
    found = estimate(values.astype(float).tolist())
    return f"{shown(found.mean)} [{shown(found.low)}, {shown(found.high)}]"


def _known(ledger: Ledger, claim: str) -> Judged | None:
    line = ledger.get(claim)
    return None if line is None or line.value is None else line


def _values(
    ledger: Ledger,
    prefix: str,
    ends: Sequence[int | str],
    unit: str,
    place: str = "at n = {}",
    scale: Callable[[float], float] = float,
) -> str:
    """`1.20 [1.00, 1.40] nats at n = 2, …` of claims by the ends of their names.

    Each number is put through the rising function `scale`. Empty if none is run.
    """
    parts = []
    for n in ends:
        line = _known(ledger, f"{prefix}-{n}")
        if line is not None:
            number = f"{_interval(line, scale)} {unit}".rstrip()
            parts.append(f"{number} {place.format(ENDS.get(str(n), n))}")
    return ", ".join(parts)


def _interval(line: Judged, scale: Callable[[float], float] = float) -> str:
    """`1.20 [1.00, 1.40]`."""
    value, *ends = [
        shown(None if x is None else scale(x)) for x in (line.value, line.low, line.high)
    ]
    return f"{value} [{', '.join(ends)}]" if line.low is not None else value


def _dims(ledger: Ledger, prefix: str, dims: Sequence[int], verdict: Verdict) -> list[str]:
    lines = ((n, ledger.get(f"{prefix}-{n}")) for n in dims)
    return [str(n) for n, line in lines if line is not None and line.verdict == verdict]


def _summary(ledger: Ledger, claims: Sequence[str]) -> str:
    """How a saying stands, by the claims that test it."""
    lines = [line for claim in claims if (line := _known(ledger, claim)) is not None]
    if not lines:
        return "is not run yet"
    holds, fails = (
        sum(line.verdict == v for line in lines) for v in (Verdict.REPRODUCED, Verdict.DIFFERS)
    )
    undecided = len(lines) - holds - fails
    missing = f"; {len(claims) - len(lines)} are not run yet" if len(lines) < len(claims) else ""
    tests = f"{len(lines)} test{'s' if len(lines) > 1 else ''}"
    return f"holds in {holds} and fails in {fails} of {tests}, {undecided} undecided{missing}"


PLACE = "where {} observed"
ENDS = {
    "low": "2",
    "high": "100",
    "one": "one quadrant is",
    "two": "two are",
    "three": "three are",
    **{f"{n}-2": str(n) for n in MATCHED},
}
"""What the end of a claim's name means, where it is no number."""
AXES = "On the way from random axes (0) to the best ones (1), those of runs with diagonal matrices"


def _covariance(ledger: Ledger) -> list[str]:
    dims = (2, 10, 100)
    gain = _values(ledger, "full-bound", dims, "nats")
    if not gain:
        return [NOT_RUN]
    said = [f"A full matrix changes the test bound by {gain}."]
    pays = _dims(ledger, "full-bound", dims, Verdict.REPRODUCED)
    stops = _dims(ledger, "full-bound", dims, Verdict.DIFFERS)
    if pays:
        said.append(f"It gains more than 1 nat at n = {', '.join(pays)}.")
    if stops:
        said.append(f"It does not gain 1 nat at n = {', '.join(stops)}.")
    if unsure := _dims(ledger, "full-bound", dims, Verdict.INCONCLUSIVE):
        said.append(f"Whether it gains more than 1 nat is undecided at n = {', '.join(unsure)}.")
    for prefix, text, unit in (
        ("full-gap", "The gap between evidence and bound changes by", "nats"),
        ("full-evidence", "The evidence itself, log p(x), changes by", "nats"),
        ("diagonal-loss", "On a given decoder, the best diagonal matrix loses", "nats"),
        ("axes-diagonal", f"{AXES} are at", ""),
    ):
        if values := _values(ledger, prefix, dims, unit):
            said.append(f"{text} {values}.")
    return said


def _dependence(ledger: Ledger) -> list[str]:
    ends = ("low", "high")
    share = _values(ledger, "mean-share", ends, "")
    if not share:
        return [NOT_RUN]
    said = [
        f"Both are functions of x. The share of the variance of codes that is in the means μ(x) is "
        f"{share}."
    ]
    for prefix, text, unit in (
        ("sigma-varies", "The standard deviation of log σ(x) over images is", ""),
        ("mean-worth", "One mean for all images would cost", "nats"),
        ("sigma-worth", "One σ for all images, with the same decoder, costs", "nats"),
    ):
        if values := _values(ledger, prefix, ends, unit):
            said.append(f"{text} {values}.")
    return said


def _relaxation(ledger: Ledger) -> list[str]:
    change = _values(ledger, "relaxation", QUADRANTS, "nats", PLACE)
    if not change:
        return [NOT_RUN]
    said = [f"The prior N(0, I) in place of a learned p(z|x) changes log p(y|x) by {change}."]
    for prefix, text in (
        ("blind", "If the decoder does not see x either, log p(y|x) changes by a further"),
        ("codes-worth", "Against a plain network, which has no codes, a learned prior gains"),
    ):
        if values := _values(ledger, prefix, QUADRANTS, "nats", PLACE):
            said.append(f"{text} {values}.")
    fair = _summary(ledger, [f"relaxation-{k}" for k in QUADRANTS])
    said.append(f"“p(z|x) = p(z) is a fair relaxation”, as it costs no more than 1 nat, {fair}.")
    return said


def _match(ledger: Ledger) -> list[str]:
    if not any(_known(ledger, f"training-{n}") for n in MATCHED):
        return [NOT_RUN]
    depth = [f"{kind}-{n}" for n in MATCHED for kind in ("depth", "depth-linear")]
    more = [f"dimensions-{k}" for k in ("kl", "mmd", "linear", "variance")]
    training = [f"training-{n}" for n in MATCHED]
    said = []
    for prefix, dims, text in (
        ("depth", (2,), "A third hidden layer changes the KL divergence by"),
        ("depth-linear", MATCHED, "It changes the part of mean and covariance by"),
        ("training", (2,), "From the shortest to the longest training, the divergence changes by"),
    ):
        if values := _values(ledger, prefix, dims, "nats"):
            said.append(f"{text} {values}.")
    said += [
        f"So “the encoder has to be wide and deep enough”, as a third layer brings codes closer, "
        f"{_summary(ledger, depth)}. That longer training brings them closer "
        f"{_summary(ledger, training)}.",
        f"“Codes come closer with more dimensions” {_summary(ledger, more)}.",
    ]
    for claim, text in (
        ("dimensions-kl", "From 2 to 20 dimensions, the upper end of the divergence changes by"),
        ("dimensions-linear", "The part of mean and covariance changes by"),
    ):
        if (line := _known(ledger, claim)) is not None:
            said.append(f"{text} {_interval(line)} nats.")
    for prefix, text in (
        ("safe-aggregated", "The test bound gains under the aggregated posterior"),
        ("safe-gaussian", "It gains under the fitted Gaussian"),
    ):
        if values := _values(ledger, prefix, [f"{n}-2" for n in MATCHED], "nats"):
            said.append(f"{text} {values} with 2 hidden layers.")
    safe = [f"safe-{k}-{n}-2" for n in MATCHED for k in ("aggregated", "gaussian")]
    said.append(
        "“Neither the aggregated posterior nor the fitted Gaussian is a better prior than N(0, I) "
        f"by 1 nat on test images”, with 2 hidden layers, {_summary(ledger, safe)}."
    )
    for prefix, name in (
        ("paper-aggregated", "aggregated posterior"),
        ("paper-gaussian", "fitted Gaussian"),
    ):
        if values := _values(ledger, prefix, (2, 100), "nats"):
            said.append(f"In the paper's network, the test bound gains under the {name} {values}.")
    if worse := _values(ledger, "samples", MATCHED, "", scale=exp):
        said.append(
            "By the ratio of their KID, samples from N(0, I) are worse than those from the "
            f"aggregated posterior by a factor of {worse}."
        )
    if values := _values(ledger, "upper", (2,), "nats"):
        said.append(f"The divergence itself is known for n = 2 alone: at most {values}.")
    return said


ANSWERS: dict[str, Callable[[Ledger], list[str]]] = {
    "covariance": _covariance,
    "dependence": _dependence,
    "relaxation": _relaxation,
    "latent_match": _match,
}
"""What makes the sentences that answer each question."""
