"""The answers of a tier: which value on the compared axis is better, by how many nats."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

import pandas as pd

from vaebench.experiment.comparison import INCOMPARABLE, Comparison, comparison_of
from vaebench.experiment.grid import Experiment
from vaebench.experiment.settings import AxisValue, format_value
from vaebench.results.compare import paired_difference
from vaebench.results.intervals import Estimate
from vaebench.results.read import Results, varying

MOST = 12
"""The largest number of comparisons that are said one by one. Of more, only counts are given."""
EQUIVALENT = 1.0
"""If the sign is undecided and the interval lies within this many nats of 0, the answer says so."""

WITHOUT = (
    "the baseline's runs differ in a setting that these do not take, or the bounds are of other "
    "data or another likelihood"
)


@dataclass(frozen=True)
class Answer:
    """A value against the baseline, as a sentence: `value` relation `baseline` rest."""

    value: str
    relation: str
    baseline: str
    rest: str
    outcome: str
    """above, below or undecided."""


@dataclass(frozen=True)
class Answers:
    """What an experiment says of the values that it compares."""

    experiment: str
    answers: list[Answer]
    """One for each value and each place, in the order of the config. Empty if they are too many."""
    summary: str
    """How many there are of which kind, what is not run, or why nothing is compared; or empty."""


def answers_of(results: Results) -> list[Answers]:
    """The answers of each experiment that varies something but the seed and n."""
    found = (_of_experiment(results, experiment) for experiment in results.tier.experiments)
    return [answers for answers in found if answers]


def _of_experiment(results: Results, experiment: Experiment) -> Answers | None:
    comparison = comparison_of(experiment.axes, experiment.baseline)
    if comparison is None:
        others = [axis for axis in varying(experiment) if axis in INCOMPARABLE]
        if not any(len(experiment.axes[axis]) > 1 for axis in others):
            return None
        reason = f"Not compared: with another {' or '.join(others)}, the bound is another quantity."
        return Answers(experiment.name, [], reason)
    answers, lacking = [], 0
    for settings, difference in _differences(results, experiment, comparison):
        if difference is None:
            lacking += 1
        else:
            answers.append(_sentence(comparison, settings, difference))
    summary = []
    if len(answers) > MOST:
        outcomes = [answer.outcome for answer in answers]
        counts = ", ".join(f"{outcomes.count(o)} {o}" for o in ("above", "below", "undecided"))
        baseline = comparison.name(comparison.baseline)
        summary.append(
            f"{len(answers)} comparisons with {baseline}, by the 95% interval of the test bound's "
            f"difference over paired seeds: {counts}. The table below has each of them."
        )
        answers = []
    if lacking:
        is_whole = len(results.of(experiment.name)) == len(results.planned(experiment.name))
        summary.append(
            f"{lacking} comparison{'s' if lacking > 1 else ''} cannot be made: "
            f"{WITHOUT if is_whole else 'not run'}."
        )
    return Answers(experiment.name, answers, " ".join(summary))


def _differences(
    results: Results, experiment: Experiment, comparison: Comparison
) -> Iterator[tuple[dict[str, AxisValue], Estimate | None]]:
    """The settings of each group of planned runs but the baseline's, and the difference."""
    runs, planned = results.of(experiment.name), results.planned(experiment.name)
    # The latent dimension is told in any case, so that a sentence stands by itself.
    told = dict.fromkeys([*varying(experiment), "latent_dim"])
    axes = [axis for axis in told if axis in planned]
    for key in planned[axes].astype(object).drop_duplicates().itertuples(index=False):
        settings = dict(zip(axes, key, strict=True))
        value = settings[comparison.axis]
        if not pd.isna(value) and value != comparison.baseline:
            yield settings, paired_difference(runs, comparison, settings)


def _sentence(
    comparison: Comparison, settings: dict[str, AxisValue], difference: Estimate
) -> Answer:
    names = {"latent_dim": "n"}
    others = {k: v for k, v in settings.items() if k != comparison.axis and not pd.isna(v)}
    places = [
        f"{names.get(k, k)} = {v if isinstance(v, str) else format_value(v)}"
        for k, v in others.items()
    ]
    where = f"at {', '.join(places)}"
    seeds = f"{difference.count} paired seeds"
    value, baseline = settings[comparison.axis], comparison.baseline
    pair = (comparison.name(value), comparison.name(baseline))
    show = _shown_as(difference)
    mean, low, high = (
        format(x, show).replace("-", "−")
        for x in (abs(difference.mean), difference.low, difference.high)
    )
    size = f"{mean} nats {'above' if difference.mean >= 0 else 'below'}"
    if not isfinite(difference.mean):
        return _answer(pair, "against", f"is not known {where}: a run diverged", "undecided")
    if difference.count == 1:
        return _answer(pair, f"is {size}", f"{where}, one seed: no interval", "undecided")
    rest = f"[{low}, {high}] {where}, {seeds}"
    if difference.low <= 0 <= difference.high or difference.low == difference.high:
        if -EQUIVALENT <= difference.low < difference.high <= EQUIVALENT:
            rest += f"; equivalent within {EQUIVALENT:g} nat"
        return _answer(pair, "against", f"is undecided: {size} {rest}", "undecided")
    return _answer(pair, f"is {size}", rest, "above" if difference.mean > 0 else "below")


def _answer(pair: tuple[str, str], relation: str, rest: str, outcome: str) -> Answer:
    return Answer(pair[0], relation, pair[1], rest, outcome)


def _shown_as(difference: Estimate) -> str:
    """The format that shows both the difference and its interval with few digits."""
    size = abs(difference.mean)
    if isfinite(difference.low):
        size = max(size, (difference.high - difference.low) / 2)
    return ".1f" if size >= 1 else ".2f" if size >= 0.1 else ".2g"
