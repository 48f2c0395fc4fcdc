"""The ledger: a verdict for each claim of the paper and of a tier's config, from its runs."""

import json
from collections.abc import Sequence
from enum import StrEnum
from math import inf, isfinite, nan, sqrt
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
from scipy import stats

from vaebench.claims.paper import (
    Claim,
    Number,
    OwnClaim,
    PaperValues,
    load_paper_values,
    own_claims,
)
from vaebench.claims.registry import Values, compute, describe
from vaebench.claims.select import LOW, Dim, NotPlanned, NotRun, Watched
from vaebench.experiment.grid import Strict
from vaebench.experiment.needs import planned_settings
from vaebench.experiment.settings import AxisValue
from vaebench.files import write_atomically
from vaebench.provenance.account import account, as_comment
from vaebench.provenance.stages import claims_digest
from vaebench.results.intervals import BOOTSTRAP_FROM, CONFIDENCE, Estimate, estimate
from vaebench.results.read import Results, select, training_text

Interval = Literal["Student's t", "bootstrap", "chi-squared", "prediction", "none"]
"""The kind of an interval. Student's t and bootstrap are for a mean, chi-squared is for a standard
deviation, and prediction is Student's t interval for a single run."""


MARK = "†"


class Verdict(StrEnum):
    """The outcome of the runs for a claim."""

    REPRODUCED = "reproduced"
    DIFFERS = "differs"
    INCONCLUSIVE = "inconclusive"
    """The interval does not decide between the two."""
    NOT_RUN = "not run"


class Judged(Strict):
    """An entry of the ledger."""

    id: str
    place: str
    says: str
    paper: str
    statistic: str
    unit: str
    expects: str
    value: float | None
    low: float | None
    high: float | None
    interval: Interval
    parts: dict[str, list[float | None]]
    """The statistic of each seed, for each part of the claim. `value` is the mean of the part that
    decides."""
    verdict: Verdict
    reason: str
    runs: str
    """The runs behind the verdict: dataset, latent dimensions, epochs and the number of runs."""
    as_in_paper: bool
    """Whether these runs were trained as in the paper. If not, the verdict says nothing about the
    paper's claim."""
    source: Literal["paper", "own"] = "paper"
    """Whose claim it is: the paper's, or one of the tier's config."""
    bears: bool = True
    """Whether the tier has or plans runs that its statistic could use. A tier that trains as in the
    paper bears on every claim of the paper."""


def judge_all(results: Results, paper: PaperValues) -> list[Judged]:
    """Judge every number and claim of the paper, in the order of the file, and then the tier's own.

    Raises:
        UserError: a claim of the tier is wrong.
    """
    own = own_claims(results.tier)
    numbers = [
        line
        for number in paper.numbers
        for line in judge_number(
            number,
            runs_with(results.runs, number.settings),
            _is_planned(results, [number.settings]),
        )
    ]
    of_paper = numbers + [judge_claim(results, c, paper.trainings) for c in paper.claims]
    if _is_planned(results, paper.trainings):
        of_paper = [line.model_copy(update={"bears": True}) for line in of_paper]
    return of_paper + [judge_claim(results, claim) for claim in own]


def _is_planned(results: Results, kinds: Sequence[dict[str, AxisValue]]) -> bool:
    """Whether the tier plans a run with one of these sets of settings."""
    runs = [run for e in results.tier.experiments for run in planned_settings(e)]
    return any(kind.items() <= run.items() for kind in kinds for run in runs)


def runs_with(runs: pd.DataFrame, settings: dict[str, AxisValue]) -> pd.DataFrame:
    """The runs that have these settings. A run that is in several experiments is returned once."""
    return select(runs, **settings).drop_duplicates("run_hash")


def judge_number(number: Number, runs: pd.DataFrame, bears: bool = True) -> list[Judged]:
    """Compare each printed bound of a single run with our prediction interval for a single run."""
    values = runs["test_elbo"].astype(float).tolist()
    centre = estimate(values)
    half = nan
    if len(values) > 1:
        quantile = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1))
        half = quantile * centre.std * sqrt(1 + 1 / len(values))
    lines = []
    for k, printed in enumerate(number.values):
        if not values:
            verdict, reason = Verdict.NOT_RUN, "the tier has no runs with these settings"
        elif not isfinite(half):
            verdict = Verdict.INCONCLUSIVE
            reason = "one run has no interval" if len(values) == 1 else "a run diverged"
        elif abs(printed - centre.mean) > half:
            verdict, reason = Verdict.DIFFERS, "the printed number is outside the interval"
        elif half > number.resolution:
            verdict = Verdict.INCONCLUSIVE
            reason = f"the interval is wider than ±{number.resolution:g} nats"
        else:
            verdict, reason = Verdict.REPRODUCED, "the printed number is inside the interval"
        lines.append(
            Judged(
                id=number.id if len(number.values) == 1 else f"{number.id}-{k + 1}",
                place=number.place,
                says=f"a run with {number.settings['objective']} has a test bound of {printed:g}",
                paper=f"{printed:g}",
                statistic="final test bound of a single run",
                unit="nats",
                expects=f"{printed:g} in the prediction interval",
                value=_finite(centre.mean),
                low=_finite(centre.mean - half),
                high=_finite(centre.mean + half),
                interval="prediction" if isfinite(half) else "none",
                parts={"": [_finite(value) for value in values]} if values else {},
                verdict=verdict,
                reason=reason,
                runs=_runs_text(runs),
                as_in_paper=bool(values),
                bears=bears,
            )
        )
    return lines


class _Part(NamedTuple):
    """One part of a claim, with its verdict."""

    name: str
    estimate: Estimate
    verdict: Verdict
    reason: str


def judge_claim(
    results: Results, claim: Claim, trainings: Sequence[dict[str, AxisValue]] = ()
) -> Judged:
    """Judge a claim by the interval of its statistic's mean over seeds.

    A claim with several parts is reproduced if all of them are, and differs if one of them does.
    """
    own = isinstance(claim, OwnClaim)
    watched = Watched.of_results(results, claim.experiment if isinstance(claim, OwnClaim) else None)
    parts, reason, bears = Values(), "", True
    try:
        parts = compute(claim.statistic, watched, dict(claim.arguments))
    except NotRun as lacking:
        reason, bears = str(lacking), not isinstance(lacking, NotPlanned)
    estimates = {k: v if isinstance(v, Estimate) else estimate(v) for k, v in parts.items()}
    judged = [_Part(name, mean, *_decide(claim, mean)) for name, mean in estimates.items()]
    decisive = _decisive(claim, judged) if judged else None
    used = pd.concat(watched.used).drop_duplicates("run_hash") if watched.used else None
    mean = decisive.estimate if decisive else estimate([])
    if decisive:
        reason = f"{decisive.name}: {decisive.reason}" if decisive.name else decisive.reason
    return Judged(
        id=claim.id,
        place=claim.place,
        says=claim.says.replace("{n}", _latent_dim_text(watched, claim)),
        paper=claim.paper,
        statistic=describe(claim.statistic),
        unit=claim.unit,
        expects=claim.expects,
        value=_finite(mean.mean),
        low=_finite(mean.low),
        high=_finite(mean.high),
        interval=_method(mean, parts, decisive),
        parts={k: [_finite(x) for x in v] for k, v in parts.items() if isinstance(v, list)},
        verdict=decisive.verdict if decisive else Verdict.NOT_RUN,
        reason=reason,
        runs="" if used is None else _runs_text(used),
        as_in_paper=used is not None and _as_in_paper(used, trainings),
        source="own" if own else "paper",
        bears=bears or own,
    )


def _decide(claim: Claim, mean: Estimate) -> tuple[Verdict, str]:
    """The verdict and its reason. It is inconclusive if the mean is NaN or no value varies."""
    low, high = mean.low, mean.high
    if not isfinite(mean.mean):
        return Verdict.INCONCLUSIVE, "a run diverged, so the mean is not known"
    if mean.count == 1:
        return Verdict.INCONCLUSIVE, "one seed has no interval"
    if low == high:
        return Verdict.INCONCLUSIVE, "all seeds give the same number, so it has no interval"
    if claim.within is not None:
        if -claim.within <= low and high <= claim.within:
            return Verdict.REPRODUCED, "the whole interval lies inside the margin"
        if high < -claim.within or low > claim.within:
            return Verdict.DIFFERS, "the whole interval lies outside the margin"
        return Verdict.INCONCLUSIVE, "the interval reaches over the margin"
    sign, limit = (1, claim.above) if claim.above is not None else (-1, claim.below)
    if limit is None:
        raise ValueError(f"claim '{claim.id}' has no criterion")
    nearest, farthest = sorted((sign * low, sign * high))
    if nearest > sign * limit:
        return Verdict.REPRODUCED, "the whole interval lies on the claimed side"
    if farthest < sign * limit:
        return Verdict.DIFFERS, "the whole interval lies on the other side"
    return Verdict.INCONCLUSIVE, f"the interval contains {limit:g}"


def _decisive(claim: Claim, parts: list[_Part]) -> _Part:
    """The part that decides the claim: of those with the worst verdict, the one farthest off."""

    def badness(part: _Part) -> float:
        low, high = part.estimate.low, part.estimate.high
        if not (isfinite(low) and isfinite(high)):
            return inf
        if claim.within is not None:
            return max(abs(low), abs(high))
        return -low if claim.above is not None else high

    for verdict in (Verdict.DIFFERS, Verdict.INCONCLUSIVE, Verdict.REPRODUCED):
        of_verdict = [part for part in parts if part.verdict == verdict]
        if of_verdict:
            return max(of_verdict, key=badness)
    raise ValueError("a claim without parts")


def _method(mean: Estimate, parts: Values, decisive: _Part | None) -> Interval:
    if decisive is None or not isfinite(mean.low):
        return "none"
    if isinstance(parts[decisive.name], Estimate):
        return "chi-squared"
    return "bootstrap" if mean.count >= BOOTSTRAP_FROM and mean.std > 0 else "Student's t"


def _latent_dim_text(watched: Watched, claim: Claim) -> str:
    """The latent dimension of the runs that were selected, or else of those that would be."""
    n: Dim = "high" if claim.arguments.get("n") == "high" else "low"
    if n in watched.dims:
        return str(watched.dims[n])
    planned = [r["latent_dim"] for e in watched.tier.experiments for r in planned_settings(e)]
    return str(LOW if n == "low" else max(planned) if max(planned) > LOW else 100)


def _as_in_paper(runs: pd.DataFrame, trainings: Sequence[dict[str, AxisValue]]) -> bool:
    """Whether each of these runs has one of the paper's sets of settings."""
    fits = pd.Series(False, index=runs.index)
    for training in trainings:
        fits |= runs.index.isin(select(runs, **training).index)
    return bool(fits.all())


def _runs_text(runs: pd.DataFrame) -> str:
    if runs.empty:
        return ""
    dims = "/".join(str(int(n)) for n in sorted(runs["latent_dim"].unique()))
    datasets = "/".join(runs["dataset"].unique())
    return f"{datasets}, n = {dims}, {training_text(runs)}, {len(runs)} runs"


def write_ledger(results: Results, paper_values: Path) -> list[Judged]:
    """Judge every claim and write claims.json and claims.md of the tier."""
    ledger = judge_all(results, load_paper_values(paper_values))
    made_from = account(results.runs["metrics_digest"], claims_digest(), paper_values)
    content = {
        "schema_version": 1,
        "tier": results.tier.tier,
        "made_from": made_from,
        "verdicts": verdict_counts([line for line in ledger if line.source == "paper"]),
        "claims": [line.model_dump() for line in ledger],
    }
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_atomically(results.layout.claims("json"), text.encode())
    page = to_markdown(results, ledger) + as_comment(made_from)
    write_atomically(results.layout.claims("md"), page.encode())
    return ledger


def to_markdown(results: Results, ledger: list[Judged]) -> str:
    """The ledger as Markdown: the paper's claims that the tier bears on, and the tier's own."""
    of_paper, own, others = parts_of(ledger)
    marked = sum(mark(line) != "" for line in of_paper)
    text = f"# Claims, tier `{results.tier.tier}`\n\n"
    if own:
        text += f"## Of the tier's config\n\n{_counts(own)}.\n\n{_table(own)}\n\n"
    if of_paper:
        text += (
            f"## Of the paper\n\n{_counts(of_paper)}. {marked} verdicts are marked ({MARK}): they "
            "rest on runs that were not trained as in the paper (another dataset, other epochs, "
            f"another n), and are no word on it.\n\n{_table(of_paper)}\n\n"
        )
    if others:
        text += f"{others_text(others)}\n\n"
    notes = "\n".join(f"- `{line.id}`: {line.statistic}" for line in [*own, *of_paper])
    return text + (
        "Intervals are of the mean over paired seeds (Student's t below 10 seeds, bootstrap from "
        f"10), or predict a single run where the paper prints one. The statistics:\n\n{notes}\n"
    )


def parts_of(ledger: Sequence[Judged]) -> tuple[list[Judged], list[Judged], int]:
    """The paper's claims that the tier bears on, the tier's own, and how many others there are."""
    of_paper = [line for line in ledger if line.source == "paper" and line.bears]
    own = [line for line in ledger if line.source == "own"]
    return of_paper, own, len(ledger) - len(of_paper) - len(own)


def others_text(others: int) -> str:
    """A sentence about the paper's claims that are not shown."""
    return f"The paper's {others} other claims are about runs that this tier does not have."


def _counts(lines: Sequence[Judged]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in verdict_counts(lines).items())


def _table(lines: Sequence[Judged]) -> str:
    table = pd.DataFrame(
        [
            {
                "claim": line.id,
                "place": line.place,
                "the paper says" if line.source == "paper" else "it says": line.says,
                "paper": line.paper or "–",
                "ours": _number(line.value),
                "95% interval": "–"
                if line.low is None
                else f"[{_number(line.low)}, {_number(line.high)}]",
                "unit": line.unit,
                "expected": line.expects.replace("-", "−"),
                "verdict": f"**{line.verdict}**{mark(line)}",
                "because": line.reason,
                "runs": line.runs or "–",
            }
            for line in lines
        ]
    )
    if lines[0].source == "own":
        table = table.drop(columns=["place", "paper"])
    return str(table.to_markdown(index=False, disable_numparse=True))


def verdict_counts(ledger: Sequence[Judged]) -> dict[str, int]:
    """The number of claims with each verdict."""
    return {verdict.value: sum(line.verdict == verdict for line in ledger) for verdict in Verdict}


def mark(line: Judged) -> str:
    """The mark of a verdict on the paper whose runs were not trained as in it. Empty for others."""
    is_free = line.as_in_paper or line.source == "own" or line.verdict == Verdict.NOT_RUN
    return "" if is_free else f" {MARK}"


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}".replace("-", "−")
