"""The ledger: a verdict for each number and claim of the paper, from the runs of a tier."""

import json
from collections.abc import Sequence
from enum import StrEnum
from math import inf, isfinite, nan, sqrt
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
from scipy import stats

from vaebench.claims.paper import Claim, Number, PaperValues, load_paper_values
from vaebench.claims.registry import Values, compute, describe
from vaebench.claims.select import NotRun, Watched, latent_dim
from vaebench.experiment.grid import Strict
from vaebench.experiment.settings import AxisValue
from vaebench.files import write_atomically
from vaebench.provenance.account import account, as_comment
from vaebench.provenance.stages import claims_digest
from vaebench.results.intervals import BOOTSTRAP_FROM, CONFIDENCE, Estimate, estimate
from vaebench.results.read import Results, training_text

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


def judge_all(results: Results, paper: PaperValues) -> list[Judged]:
    """Judge every number and claim of the paper, in the order of the file."""
    numbers = [
        line
        for number in paper.numbers
        for line in judge_number(number, runs_with(results.runs, number.settings))
    ]
    return numbers + [judge_claim(results, claim, paper.trainings) for claim in paper.claims]


def runs_with(runs: pd.DataFrame, settings: dict[str, AxisValue]) -> pd.DataFrame:
    """The runs that have these settings. A run that is in several experiments is returned once."""
    keep = pd.Series(True, index=runs.index)
    for name, value in settings.items():
        keep &= runs[name] == value
    return runs[keep].drop_duplicates("run_hash")


def judge_number(number: Number, runs: pd.DataFrame) -> list[Judged]:
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
    watched, parts, reason = Watched.of_results(results), Values(), ""
    try:
        parts = compute(claim.statistic, watched, dict(claim.arguments))
    except NotRun as lacking:
        reason = str(lacking)
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
        says=claim.says.replace("{n}", _latent_dim_text(results, claim)),
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


def _latent_dim_text(results: Results, claim: Claim) -> str:
    n = claim.arguments.get("n", "low")
    try:
        return str(latent_dim(results, "high" if n == "high" else "low"))
    except NotRun:
        return "2" if n == "low" else "100"


def _as_in_paper(runs: pd.DataFrame, trainings: Sequence[dict[str, AxisValue]]) -> bool:
    """Whether each of these runs has one of the paper's sets of settings."""
    fits = pd.Series(False, index=runs.index)
    for training in trainings:
        here = pd.Series(True, index=runs.index)
        for name, value in training.items():
            here &= runs[name] == value
        fits |= here
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
        "verdicts": verdict_counts(ledger),
        "claims": [line.model_dump() for line in ledger],
    }
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_atomically(results.layout.claims("json"), text.encode())
    page = to_markdown(results, ledger) + as_comment(made_from)
    write_atomically(results.layout.claims("md"), page.encode())
    return ledger


def to_markdown(results: Results, ledger: list[Judged]) -> str:
    """The ledger as a Markdown table, with the count of each verdict above it."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in verdict_counts(ledger).items())
    marked = sum(mark(line) != "" for line in ledger)
    table = pd.DataFrame(
        [
            {
                "claim": line.id,
                "place": line.place,
                "the paper says": line.says,
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
            for line in ledger
        ]
    )
    statistics = {line.id: line.statistic for line in ledger}
    notes = "\n".join(f"- `{name}`: {text}" for name, text in statistics.items())
    return (
        f"# Claims of the paper, tier `{results.tier.tier}`\n\n"
        f"{counts}. {marked} verdicts are marked ({MARK}): they rest on runs that were not trained "
        "as in the paper (another dataset, other epochs, another n), and are no word on it.\n\n"
        f"{table.to_markdown(index=False, disable_numparse=True)}\n\n"
        "Intervals are of the mean over paired seeds (Student's t below 10 seeds, bootstrap from "
        "10), or predict a single run where the paper prints one. The statistics:\n\n"
        f"{notes}\n"
    )


def verdict_counts(ledger: Sequence[Judged]) -> dict[str, int]:
    """The number of claims with each verdict."""
    return {verdict.value: sum(line.verdict == verdict for line in ledger) for verdict in Verdict}


def mark(line: Judged) -> str:
    """The mark of a verdict whose runs were not trained as in the paper. Empty for others."""
    return "" if line.as_in_paper or line.verdict == Verdict.NOT_RUN else f" {MARK}"


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}".replace("-", "−")
