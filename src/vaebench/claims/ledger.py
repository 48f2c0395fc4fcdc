"""The ledger: a verdict for each claim of the paper and of a tier's config, from its runs."""

from collections.abc import Sequence
from math import isfinite
from typing import Literal

import pandas as pd

from vaebench.claims.judge import Judgement, Verdict, detectable, judge, unpaired
from vaebench.claims.paper import (
    Claim,
    Number,
    OwnClaim,
    PaperValues,
    in_full,
    own_claims,
)
from vaebench.claims.printed import judge_printed, predict
from vaebench.claims.registry import CONTROLS, Values, compute, describe
from vaebench.claims.select import LOW, Dim, NotMeasured, NotPlanned, NotRun, Watched
from vaebench.experiment.grid import Strict
from vaebench.experiment.needs import planned_settings
from vaebench.experiment.settings import AxisValue
from vaebench.plain_text import plural
from vaebench.results.intervals import CONFIDENCE
from vaebench.results.multiplicity import benjamini_hochberg, holm
from vaebench.results.read import Results, select, training_text

Interval = Literal["Student's t", "prediction", "none"]
"""The kind of an interval: Student's t for a mean, prediction for a single run."""
UNTRAINED = "untrained networks meet it too"
"""What the reason of a verdict says that training has not brought about."""


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
    """The mean over seeds of the part that decides, or the median of the prediction."""
    low: float | None
    high: float | None
    interval: Interval
    parts: dict[str, list[float | None]]
    """The statistic of each seed, for each part of the claim."""
    verdict: Verdict
    reason: str
    seeds: int = 0
    """The number of values of the part that decides."""
    std: float | None = None
    """Their standard deviation."""
    detectable: float | None = None
    """The distance from the limit that as many further seeds decide with 80% power."""
    welch: tuple[float, float] | None = None
    """The 95% interval without pairing by seeds. None if the values are not differences."""
    correlation: float | None = None
    """Of the two sides of the differences, over seeds."""
    equivalent: bool = False
    """Whether the interval lies within the claim's margin of equivalence."""
    p: float | None = None
    """Two-sided p-value of the claim. None if nothing is tested."""
    survives: tuple[Literal["Holm", "BH"], ...] = ()
    """The corrections for the number of tests that leave the verdict as it is: Holm, and
    Benjamini-Hochberg (BH), each at 5%. The paper's claims and the tier's own are two families."""
    runs: str
    """The runs behind the verdict: dataset, latent dimensions, epochs and the number of runs."""
    as_in_paper: bool
    """Whether these runs were trained as in the paper. If not, the verdict says nothing about the
    paper's claim."""
    after_seeing: bool = False
    """Whether the claim was written when runs had been seen that decide it here."""
    source: Literal["paper", "own"] = "paper"
    """Whose claim it is: the paper's, or one of the tier's config."""
    bears: bool = True
    """Whether the tier has or plans runs that its statistic could use. A tier that trains as in the
    paper bears on every claim of the paper."""

    @property
    def only_part(self) -> str:
        """The name of the only part, such as `data_scale 1`. Empty if it has none or is one of
        several.
        """
        return next(iter(self.parts)) if len(self.parts) == 1 else ""


def judge_all(results: Results, paper: PaperValues) -> list[Judged]:
    """Judge every number and claim of the paper, in the order of the file, and then the tier's own.

    Raises:
        UserError: a claim of the tier is wrong.
    """
    own = own_claims(results.tier)
    numbers = [line for number in paper.numbers for line in judge_number(results, number)]
    whole = _is_planned(results, paper.trainings)
    of_paper = [line.model_copy(update={"bears": whole or line.bears}) for line in numbers]
    of_paper += [judge_claim(results, claim, paper.trainings, whole) for claim in paper.claims]
    return corrected(of_paper) + corrected([judge_claim(results, claim) for claim in own])


def corrected(ledger: Sequence[Judged]) -> list[Judged]:
    """The same lines, each with the corrections for the number of tests that it survives."""
    tested = [line for line in ledger if line.p is not None]
    p_values = [line.p for line in tested if line.p is not None]
    limit = 1 - CONFIDENCE
    survives = {
        line.id: tuple(
            name
            for name, p in zip(("Holm", "BH"), adjusted, strict=True)
            if p <= limit and line.verdict != Verdict.INCONCLUSIVE
        )
        for line, *adjusted in zip(
            tested, holm(p_values), benjamini_hochberg(p_values), strict=True
        )
    }
    return [line.model_copy(update={"survives": survives.get(line.id, ())}) for line in ledger]


def _is_planned(results: Results, kinds: Sequence[dict[str, AxisValue]]) -> bool:
    """Whether the tier plans a run with one of these sets of settings."""
    runs = [run for e in results.tier.experiments for run in planned_settings(e)]
    return any(in_full(kind, run).items() <= run.items() for kind in kinds for run in runs)


def judge_number(results: Results, number: Number) -> list[Judged]:
    """Compare each printed number with what our runs predict for a single run."""
    found, rows = predict(results, number)
    kinds = [number.settings] if number.minus is None else [number.settings, number.minus]
    bears = all(_is_planned(results, [kind]) for kind in kinds)
    objectives = " minus ".join(str(kind["objective"]) for kind in kinds)
    lines = []
    for k, printed in enumerate(number.values):
        verdict, reason = judge_printed(number, printed, found)
        what = "a run's test bound" if number.minus is None else "the difference of two test bounds"
        lines.append(
            Judged(
                id=number.id if len(number.values) == 1 else f"{number.id}-{k + 1}",
                place=number.place,
                says=f"{what} is {printed:g}, {objectives}",
                paper=f"{printed:g}",
                statistic="test bound of a single run at a late epoch, in nats"
                if number.minus is None
                else "difference of two test bounds at the same seed and late epoch, in nats",
                unit="nats",
                expects=f"{printed:g} in the prediction",
                value=_finite(found.median),
                low=_finite(found.low),
                high=_finite(found.high),
                interval="prediction" if isfinite(found.low) else "none",
                parts={"": [_finite(x) for x in found.finals]} if found.finals else {},
                verdict=verdict,
                reason=reason,
                seeds=len(found.finals),
                runs=_runs_text(rows),
                as_in_paper=bool(found.finals),
                after_seeing=number.after_seeing and bool(found.finals),
                bears=bears,
            )
        )
    return lines


def judge_claim(
    results: Results,
    claim: Claim,
    trainings: Sequence[dict[str, AxisValue]] = (),
    bears_on_all: bool = False,
) -> Judged:
    """Judge a claim by its statistic over seeds, see `judge.py`.

    Args:
        results: the tier's results.
        claim: the paper's or the tier's own.
        trainings: the settings of the paper's runs.
        bears_on_all: whether the tier bears on claims whose runs it does not plan. It never bears
            on those that are about a measurement that it does not ask for.
    """
    own = isinstance(claim, OwnClaim)
    watched = Watched.of_results(results, claim.experiment if isinstance(claim, OwnClaim) else None)
    parts, reason, bears = Values(), "", True
    try:
        parts = compute(claim.statistic, watched, dict(claim.arguments))
    except NotRun as lacking:
        bears = not isinstance(lacking, NotPlanned)
        bears = bears or (bears_on_all and not isinstance(lacking, NotMeasured))
        reason = str(lacking)
    used = pd.concat(watched.used).drop_duplicates("run_hash") if watched.used else None
    as_in_paper = used is not None and _as_in_paper(used, trainings)
    line = Judged(
        id=claim.id,
        place=claim.place,
        says=claim.says.replace("{n}", _latent_dim_text(watched, claim)),
        paper=claim.paper,
        statistic=describe(claim.statistic),
        unit=claim.unit,
        expects=claim.expects,
        value=None,
        low=None,
        high=None,
        interval="none",
        parts={k: [_finite(x) for x in v] for k, v in parts.items()},
        verdict=Verdict.NOT_RUN,
        reason=reason,
        runs="" if used is None else _runs_text(used),
        as_in_paper=as_in_paper,
        after_seeing=claim.after_seeing and (own or as_in_paper),
        source="own" if own else "paper",
        bears=bears or own,
    )
    if not parts:
        return line
    line = line.model_copy(update=_judged(judge(claim, parts), parts))
    if line.verdict == Verdict.REPRODUCED and _holds_untrained(results, claim, watched.only):
        reason = f"{line.reason}; {UNTRAINED}, so it proves nothing of training"
        return line.model_copy(update={"reason": reason})
    return line


def _holds_untrained(results: Results, claim: Claim, only: str | None) -> bool:
    """Whether the claim would be reproduced by networks before training."""
    control = CONTROLS.get(claim.statistic, {})
    if not control or not claim.arguments.keys().isdisjoint(control):
        return False
    watched = Watched.of_results(results, only)
    try:
        parts = compute(claim.statistic, watched, dict(claim.arguments) | control)
    except NotRun:
        return False
    return judge(claim, parts).verdict == Verdict.REPRODUCED


def _judged(judgement: Judgement, parts: Values) -> dict[str, object]:
    """What a judgement adds to a line of the ledger."""
    mean, values = judgement.estimate, parts[judgement.part]
    without = unpaired(values)
    return {
        "value": _finite(mean.mean),
        "low": _finite(mean.low),
        "high": _finite(mean.high),
        "interval": "Student's t" if isfinite(mean.low) else "none",
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "seeds": mean.count,
        "std": _finite(mean.std),
        "detectable": _finite(detectable(mean)),
        "welch": (without.low, without.high) if without else None,
        "correlation": without.correlation if without else None,
        "equivalent": judgement.equivalent,
        "p": judgement.p,
    }


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
        fits |= runs.index.isin(select(runs, **in_full(training, runs)).index)
    return bool(fits.all())


def _runs_text(runs: pd.DataFrame) -> str:
    if runs.empty:
        return ""
    dims = "/".join(str(int(n)) for n in sorted(runs["latent_dim"].unique()))
    datasets = "/".join(runs["dataset"].unique())
    return f"{datasets}, n = {dims}, {training_text(runs)}, {plural(len(runs), 'run')}"


def parts_of(ledger: Sequence[Judged]) -> tuple[list[Judged], list[Judged], int]:
    """The paper's claims that the tier bears on, the tier's own, and how many others there are."""
    of_paper = [line for line in ledger if line.source == "paper" and line.bears]
    own = [line for line in ledger if line.source == "own"]
    return of_paper, own, len(ledger) - len(of_paper) - len(own)


def verdict_counts(ledger: Sequence[Judged]) -> dict[str, int]:
    """The number of claims with each verdict."""
    return {verdict.value: sum(line.verdict == verdict for line in ledger) for verdict in Verdict}


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None
