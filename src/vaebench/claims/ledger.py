"""From the paper's claims and a tier's runs to one verdict each."""

import json
from enum import StrEnum
from math import isfinite, nan, sqrt
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from scipy import stats

from vaebench.claims import STATISTICS, NotRun, compute, describe
from vaebench.config import describe as describe_error
from vaebench.errors import UserError
from vaebench.files import write_atomically
from vaebench.grid import Strict
from vaebench.results import Results
from vaebench.settings import AxisValue, Name
from vaebench.statistics import BOOTSTRAP_FROM, CONFIDENCE, estimate

Interval = Literal["Student's t", "bootstrap", "prediction", "none"]
"""Of the mean by one of two methods, or of a single run by Student's t."""


class Verdict(StrEnum):
    """What the runs say of a claim."""

    REPRODUCED = "reproduced"
    DIFFERS = "differs"
    INCONCLUSIVE = "inconclusive"
    """The interval decides neither."""
    NOT_RUN = "not run"


class Number(Strict):
    """Bounds that the paper prints for single runs."""

    id: Name
    place: str
    settings: dict[str, AxisValue] = Field(
        description="The settings of the runs that the number speaks of; it is compared with, and "
        "shown beside, runs that have all of them and no others."
    )
    values: list[float] = Field(description="Test bounds in nats, a run each.", min_length=1)
    resolution: Annotated[float, Field(gt=0)] = Field(
        description="A prediction interval with a larger half-width than this, in nats, decides "
        "nothing."
    )


class Claim(Strict):
    """A claim in words, and the statistic that decides it."""

    id: Name
    place: str
    says: str = Field(description="The claim, in our words.")
    paper: str = Field("", description="What the paper gives, where it is a number.")
    statistic: str
    arguments: dict[str, AxisValue] = Field(default_factory=dict)
    unit: str
    above: float | None = Field(None, description="The claim holds if the mean is above this.")
    below: float | None = Field(None, description="The claim holds if the mean is below this.")
    within: float | None = Field(
        None,
        description="Equivalence margin: a claim of sameness holds if the whole interval of the "
        "mean lies between minus this and this.",
    )

    @field_validator("statistic")
    @classmethod
    def _is_known(cls, name: str) -> str:
        from vaebench.claims import bounds, codes, samples  # noqa: F401 - they register themselves

        if name not in STATISTICS:
            raise ValueError(f"'{name}' is not one of: {', '.join(STATISTICS)}")
        return name

    @model_validator(mode="after")
    def _has_one_criterion(self) -> "Claim":
        given = [x for x in (self.above, self.below, self.within) if x is not None]
        if len(given) != 1:
            raise ValueError("give one of: above, below, within")
        return self

    @property
    def expects(self) -> str:
        """The criterion, in words."""
        if self.within is not None:
            return f"within ±{self.within:g}"
        return f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"


class PaperValues(Strict):
    """config/paper_values.yaml."""

    numbers: list[Number]
    claims: list[Claim]

    @model_validator(mode="after")
    def _ids_differ(self) -> "PaperValues":
        ids = [number.id for number in self.numbers] + [claim.id for claim in self.claims]
        for name in ids:
            if ids.count(name) > 1:
                raise ValueError(f"two entries have the id '{name}'")
        return self


class Judged(Strict):
    """A line of the ledger."""

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
    values: list[float | None]
    """The statistic of each seed."""
    verdict: Verdict
    reason: str


def load_paper_values(path: Path) -> PaperValues:
    """Read and check the paper's numbers and claims.

    Raises:
        UserError: the file is missing or wrong; names the key.
    """
    try:
        return PaperValues.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    except ValidationError as error:
        raise UserError(f"{path} is refused:\n{describe_error(error)}") from None


def judge_all(results: Results, paper: PaperValues) -> list[Judged]:
    """Every number and claim of the paper, in the order of the file."""
    numbers = [
        line
        for number in paper.numbers
        for line in judge_number(number, runs_with(results.runs, number.settings))
    ]
    return numbers + [judge_claim(results, claim) for claim in paper.claims]


def runs_with(runs: pd.DataFrame, settings: dict[str, AxisValue]) -> pd.DataFrame:
    """The runs that have these settings, each once; the same run may be in several experiments."""
    keep = pd.Series(True, index=runs.index)
    for name, value in settings.items():
        keep &= runs[name] == value
    return runs[keep].drop_duplicates("run_hash")


def judge_number(number: Number, runs: pd.DataFrame) -> list[Judged]:
    """Each printed bound of a single run against our prediction interval for a single run."""
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
                values=[_finite(value) for value in values],
                verdict=verdict,
                reason=reason,
            )
        )
    return lines


def judge_claim(results: Results, claim: Claim) -> Judged:
    """A claim in words, by the interval of its statistic's mean over seeds."""
    try:
        values, reason = compute(claim.statistic, results, claim.arguments), ""
    except NotRun as lacking:
        values, reason = [], str(lacking)
    mean = estimate(values)
    verdict = Verdict.NOT_RUN
    if values:
        verdict, reason = _decide(claim, mean.low, mean.high)
        if not isfinite(mean.mean):
            reason = "a run diverged, so the mean is not known"
        elif len(values) == 1:
            reason = "one seed has no interval"
    method: Interval = "none"
    if isfinite(mean.low):
        resampled = len(values) >= BOOTSTRAP_FROM and mean.std > 0
        method = "bootstrap" if resampled else "Student's t"
    return Judged(
        id=claim.id,
        place=claim.place,
        says=claim.says,
        paper=claim.paper,
        statistic=describe(claim.statistic),
        unit=claim.unit,
        expects=claim.expects,
        value=_finite(mean.mean),
        low=_finite(mean.low),
        high=_finite(mean.high),
        interval=method,
        values=[_finite(value) for value in values],
        verdict=verdict,
        reason=reason,
    )


def _decide(claim: Claim, low: float, high: float) -> tuple[Verdict, str]:
    """The verdict of an interval; NaN decides nothing."""
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


def write_ledger(results: Results, paper_values: Path) -> list[Judged]:
    """Judge every claim and write claims.json and claims.md of the tier."""
    ledger = judge_all(results, load_paper_values(paper_values))
    content = {
        "schema_version": 1,
        "tier": results.tier.tier,
        "training": training_text(results),
        "claims": [line.model_dump() for line in ledger],
    }
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_atomically(results.layout.claims("json"), text.encode())
    write_atomically(results.layout.claims("md"), to_markdown(results, ledger).encode())
    return ledger


def training_text(results: Results) -> str:
    """Dataset, epochs and seeds of the tier's runs: what the verdicts rest on."""
    runs = results.runs
    epochs = sorted(int(value) for value in runs["epochs"].unique())
    return (
        f"{', '.join(runs['dataset'].unique())}; {' or '.join(map(str, epochs))} epochs; "
        f"{runs['seed'].nunique()} seeds at most"
    )


def to_markdown(results: Results, ledger: list[Judged]) -> str:
    """The ledger as a Markdown table, with the count of each verdict above it."""
    counts = ", ".join(
        f"{sum(line.verdict == verdict for line in ledger)} {verdict}" for verdict in Verdict
    )
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
                "verdict": f"**{line.verdict}**",
                "because": line.reason,
            }
            for line in ledger
        ]
    )
    statistics = {line.id: line.statistic for line in ledger}
    notes = "\n".join(f"- `{name}`: {text}" for name, text in statistics.items())
    return (
        f"# Claims of the paper, tier `{results.tier.tier}`\n\n"
        f"Trained on {training_text(results)}. {counts}.\n\n"
        f"{table.to_markdown(index=False, disable_numparse=True)}\n\n"
        "Intervals are of the mean over paired seeds (Student's t below 10 seeds, bootstrap from "
        "10), or predict a single run where the paper prints one. The statistics:\n\n"
        f"{notes}\n"
    )


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}".replace("-", "−")
