"""What runs a figure or a claim needs, and which experiment of a tier has them.

Any experiment whose runs fit will do, whatever its name. Where several fit, it is the one that is
called as the paper's experiment is in `config/paper.yaml`, or else the first in the config.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vaebench.experiment.grid import Experiment, expand
from vaebench.experiment.settings import AxisValue, format_value

Values = tuple[AxisValue, ...]


@dataclass(frozen=True)
class Need:
    """The runs of one experiment that something is made from."""

    named: str
    """The name of the paper's experiment, which comes first."""
    settings: Mapping[str, AxisValue] = field(default_factory=dict)
    """What the runs have in common. Other runs of the experiment are left out."""
    apart: frozenset[str] | None = None
    """The axes, beside the seed, in which the runs may differ. None for any."""
    alike: frozenset[str] = frozenset()
    """Axes in which they may not differ."""
    varies: frozenset[str] = frozenset()
    """Axes in which they have to differ."""
    has: Mapping[str, Values] = field(default_factory=dict)
    """Settings with values that all have to be there. Runs with other values are not left out."""
    pick: Callable[[Sequence[str]], str] | None = None
    """Chooses the one objective whose runs are needed from those of the experiment."""
    most: int | None = None
    """The largest number of groups of runs that differ in more than seed and latent dimension."""
    measured: bool = False
    """Whether the experiment has to measure sample quality."""

    def having(self, **values: Values) -> "Need":
        """This need, with settings that must have all of these values."""
        return replace(self, has={**self.has, **values})

    def __str__(self) -> str:
        """The need in words, to stand behind `runs`."""
        common = [f"{key} {format_value(value)}" for key, value in self.settings.items()]
        common += [
            f"{key} {' and '.join(format_value(value) for value in dict.fromkeys(values))}"
            for key, values in self.has.items()
        ]
        parts = [f"with {', '.join(common)}"] if common else []
        if self.varies:
            parts.append(f"that differ in {', '.join(sorted(self.varies))}")
        if self.apart is not None:
            others = sorted((self.apart | {"seed"}) - self.varies - self.settings.keys())
            parts.append(f"that may differ in {', '.join(others)} and nothing else")
        if self.alike:
            parts.append(f"that agree in {', '.join(sorted(self.alike))}")
        if self.measured:
            parts.append("whose sample quality is measured")
        return ", ".join(parts) or "of any kind"


@dataclass(frozen=True)
class Found:
    """The experiment that has the runs, and which of its runs they are."""

    experiment: Experiment
    settings: dict[str, AxisValue]
    """The settings that the runs have in common and others of the experiment may not."""
    varying: tuple[str, ...]
    """The axes, beside the seed, in which they differ, in the order of the config."""


def find(need: Need, experiments: Sequence[Experiment]) -> Found | None:
    """The experiment whose runs fit: the one with the paper's name, or else the first."""
    for experiment in sorted(experiments, key=lambda experiment: experiment.name != need.named):
        found = fit(need, experiment)
        if isinstance(found, Found):
            return found
    return None


def why_none(need: Need, experiments: Sequence[Experiment]) -> str:
    """Why none of these experiments fits: a reason for each."""
    reasons = ((e.name, fit(need, e)) for e in experiments)
    return "; ".join(f"'{name}' {reason}" for name, reason in reasons if isinstance(reason, str))


def fit(need: Need, experiment: Experiment) -> Found | str:
    """The runs of an experiment that are needed, or why it does not have them."""
    runs = planned_settings(experiment)
    chosen = dict(need.settings)
    runs = [run for run in runs if chosen.items() <= run.items()]
    if not runs:
        wanted = ", ".join(f"{key} {format_value(value)}" for key, value in chosen.items())
        return f"has no run with {wanted}"
    for key, values in need.has.items():
        there = {run.get(key) for run in runs}
        if missing := [format_value(value) for value in values if value not in there]:
            return f"has no run with {key} {', '.join(missing)}"
    if need.pick:
        chosen["objective"] = need.pick(list(dict.fromkeys(run["objective"] for run in runs)))
        runs = [run for run in runs if run["objective"] == chosen["objective"]]
    varying = tuple(
        axis
        for axis in experiment.axes
        if axis != "seed" and len({run.get(axis) for run in runs}) > 1
    )
    allowed = set(varying) if need.apart is None else need.apart
    if others := [axis for axis in varying if axis not in allowed or axis in need.alike]:
        return f"has runs that differ in {', '.join(others)}, which cannot be told apart here"
    if same := sorted(need.varies - set(varying)):
        return f"has runs that do not differ in {', '.join(same)}"
    kinds = [axis for axis in varying if axis != "latent_dim"]
    groups = len({tuple(run.get(axis) for axis in kinds) for run in runs})
    if need.most is not None and groups > need.most:
        return f"compares {groups} kinds of runs, and {need.most} can be told apart here"
    if need.measured and not experiment.sample_quality:
        return "does not measure sample quality"
    return Found(experiment, chosen, varying)


def planned_settings(experiment: Experiment) -> list[dict[str, Any]]:
    """The settings of each run of an experiment, without those that the run does not take."""
    return [run.settings.given() for cell in expand(experiment) for run in cell.runs]
