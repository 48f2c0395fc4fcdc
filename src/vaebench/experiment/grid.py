"""An experiment, which is a grid of runs, and its cells.

A cell has one value of each job axis and all values of the packed axes. Its runs can be trained
together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict

from vaebench.data.registry import DATASETS
from vaebench.experiment.comparison import comparison_of
from vaebench.experiment.dependence import DependencePlan
from vaebench.experiment.equations import EquationsPlan
from vaebench.experiment.evidence import LARGEST_GRID, EvidencePlan
from vaebench.experiment.latent import LatentPlan
from vaebench.experiment.plans import PLANS, plan_of
from vaebench.experiment.settings import (
    AxisValue,
    Name,
    Settings,
    axis_folder,
    can_be_packed,
    known_parameters,
    message_of,
    taken_settings,
)

MOST_RUNS = 100_000
"""Of an experiment."""
# Editors complete the names of the package's own settings; a plugin may declare others.
NAMES_A_SETTING: JsonDict = {
    "propertyNames": {
        "anyOf": [
            {"enum": [*Settings.model_fields, *known_parameters()]},
            {"pattern": "^[a-z][a-z0-9_]*$"},
        ]
    }
}


class Strict(BaseModel):
    """A model that refuses unknown keys and values of a wrong type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Override(Strict):
    """Settings that hold for a part of an experiment in place of the shared ones."""

    when: dict[str, AxisValue] = Field(
        description="Values on axes that are not under `packed`. The override applies to runs "
        "that have all of them.",
        min_length=1,
        json_schema_extra=NAMES_A_SETTING,
    )
    settings: dict[str, AxisValue] = Field(
        description="Settings of these runs.", min_length=1, json_schema_extra=NAMES_A_SETTING
    )


class Experiment(Strict):
    """A regular grid of runs with a name: fixed settings, and axes that are each a list."""

    name: Name = Field(
        description="The name of the experiment in paths, tables and on the command line."
    )
    description: str = Field("", description="One line that the page of the tier shows.")
    settings: dict[str, AxisValue] = Field(
        default_factory=dict,
        description="Settings that all runs of the experiment share.",
        json_schema_extra=NAMES_A_SETTING,
    )
    axes: dict[str, Annotated[list[AxisValue], Field(min_length=1)]] = Field(
        description="Settings that vary, each with its values. Paths have them in this order.",
        min_length=1,
        json_schema_extra=NAMES_A_SETTING,
    )
    packed: list[str] = Field(
        default_factory=lambda values: ["seed"] if "seed" in values.get("axes", {}) else [],
        description="Axes whose runs are trained together in one process, as stacked tensors. "
        "Default: the seeds.",
    )

    overrides: list[Override] = Field(
        default_factory=list,
        description="Other settings for a part of the runs, such as more epochs at one latent "
        "dimension. If several entries fit, the last one counts.",
    )

    sample_quality: bool = Field(
        False,
        description="Whether samples of every run are compared with test images, by the features "
        "of a classifier.",
    )

    evidence: bool | EvidencePlan = Field(
        False,
        description="Whether the log evidence log p(x) of every run is measured. A mapping also "
        "says how.",
    )
    equations: bool | EquationsPlan = Field(
        False,
        description="Whether the paper's Equations 4 to 30 are measured on every run. A mapping "
        "also says how.",
    )
    latent: bool | LatentPlan = Field(
        False,
        description="Whether the aggregated posterior of every run is compared with its prior, "
        "from its weights, or how, if not as usual.",
    )

    dependence: bool | DependencePlan = Field(
        False,
        description="Whether it is measured what of every run depends on the input: its codes, and "
        "the conditional log-likelihood of conditional runs; or how, if not as usual.",
    )

    baseline: AxisValue | None = Field(
        None,
        description="The value that the others on its axis are compared with, seed by seed. "
        "Default: the first objective, or the first value of another axis if the "
        "objective does not vary.",
    )

    @model_validator(mode="after")
    def _check_axes(self) -> Experiment:
        known = [*Settings.model_fields, *known_parameters()]
        for key in [*self.settings, *self.axes]:
            if key not in known:
                raise ValueError(
                    f"'{key}' is not a setting of a run; known: {', '.join(known)}. A parameter of "
                    "your own objective needs its file under `plugins`"
                )
        for axis, values in self.axes.items():
            if axis in self.settings:
                raise ValueError(f"'{axis}' is both a setting and an axis")
            if len(set(values)) < len(values):
                raise ValueError(f"axes.{axis} names a value twice: {values}")
        for axis in self.packed:
            if axis not in self.axes:
                raise ValueError(f"packed axis '{axis}' is not among the axes: {list(self.axes)}")
            if not can_be_packed(axis):
                packable = ", ".join(name for name in known if can_be_packed(name))
                raise ValueError(f"axis '{axis}' cannot be packed; these can: {packable}")
        for k, override in enumerate(self.overrides):
            self._check_override(f"overrides.{k}", override)
        comparison_of(self.axes, self.baseline)
        for cell in expand(self):
            dataset = cell.shared.dataset
            plan, latent = self.evidence_plan, cell.shared.latent_dim
            if plan is not None and plan.method == "grid" and latent > LARGEST_GRID:
                raise ValueError(
                    f"evidence.method: a grid is for 1 or {LARGEST_GRID} latent dimensions (found "
                    f"latent_dim {latent}): use auto or ais"
                )
            for key in ("sample_quality", "evidence", "equations", "latent"):
                if cell.shared.is_conditional and getattr(self, key):
                    raise ValueError(
                        f"{key}: objective '{cell.shared.objective}' predicts hidden pixels from "
                        "observed ones, and this is for models of whole images: leave it out"
                    )
            if self.sample_quality and not DATASETS[dataset].is_labelled:
                raise ValueError(
                    f"sample_quality: dataset '{dataset}' has no labels, and the classifier that "
                    "measures samples is trained on labels: leave sample_quality out"
                )
        return self

    @property
    def evidence_plan(self) -> EvidencePlan | None:
        """How the evidence of its runs is measured. None if it is not."""
        return plan_of(self.evidence, EvidencePlan)

    @property
    def equations_plan(self) -> EquationsPlan | None:
        """How the equations are measured on its runs. None if they are not."""
        return plan_of(self.equations, EquationsPlan)

    @property
    def latent_plan(self) -> LatentPlan | None:
        """How the aggregated posterior of its runs is measured. None if it is not."""
        return plan_of(self.latent, LatentPlan)

    @property
    def dependence_plan(self) -> DependencePlan | None:
        """How it is measured what of its runs depends on the input. None if it is not."""
        return plan_of(self.dependence, DependencePlan)

    @property
    def plans(self) -> dict[str, BaseModel]:
        """The plans of all that is measured on the weights of its runs, by name."""
        found = {name: plan_of(getattr(self, name), usual) for name, usual in PLANS.items()}
        return {name: plan for name, plan in found.items() if plan is not None}

    @cached_property
    def cells(self) -> list[Cell]:
        """The result of `expand`. It is cached, since a grid may have thousands of runs."""
        return _expand(self)

    def _check_override(self, place: str, override: Override) -> None:
        for axis, value in override.when.items():
            if axis not in job_axes(self):
                raise ValueError(
                    f"{place}.when: '{axis}' is not an axis that makes jobs: {list(job_axes(self))}"
                )
            if value not in self.axes[axis]:
                raise ValueError(
                    f"{place}.when.{axis}: {value!r} is not on the axis: {self.axes[axis]}"
                )
        for key in override.settings:
            if key in self.axes:
                raise ValueError(f"{place}.settings: '{key}' is an axis, and so already given")
            if key not in self.settings:
                raise ValueError(f"{place}.settings: '{key}' is not among the shared settings")


@dataclass(frozen=True)
class Run:
    """A run and its folder."""

    settings: Settings
    folder: Path
    """The folder below that of the experiment, `<job axes>/<packed axes>`. Each axis has a part
    `axis~value`, such as in `latent_dim~2/seed~0`."""


@dataclass(frozen=True)
class Cell:
    """The runs with one value of each job axis and all values of the packed axes."""

    job: dict[str, AxisValue]
    """Its values on the job axes, in the order of the config. Axes that its runs do not take are
    left out, such as `posterior_std` for an objective that learns it."""
    runs: tuple[Run, ...]

    @property
    def shared(self) -> Settings:
        """The settings of the first run. The other runs differ from it only in the packed axes."""
        return self.runs[0].settings

    @property
    def folder(self) -> Path:
        """The folder of its job axes."""
        return _folder(self.job)


def job_axes(experiment: Experiment) -> dict[str, list[AxisValue]]:
    """The job axes, in the order of the config. They are wildcards of the workflow's rules."""
    return {k: v for k, v in experiment.axes.items() if k not in experiment.packed}


def packed_axes(experiment: Experiment) -> dict[str, list[AxisValue]]:
    """The axes whose runs are trained together, in the order of the config."""
    return {k: v for k, v in experiment.axes.items() if k in experiment.packed}


def expand(experiment: Experiment) -> list[Cell]:
    """All cells of an experiment, in the order of the config.

    An axis that an objective or likelihood does not take is left out of the settings of its runs
    and of their paths. Runs that would differ only in such an axis are one run.

    Raises:
        ValueError: the settings of a run are invalid, or no run takes a setting.
    """
    return experiment.cells


def _expand(experiment: Experiment) -> list[Cell]:
    count = math.prod(map(len, experiment.axes.values()))
    if count > MOST_RUNS:
        raise ValueError(f"axes: they have {count:,} combinations; at most {MOST_RUNS:,}")
    cells: dict[Path, Cell] = {}
    for job in _combine(job_axes(experiment)):
        runs_of_job = {run.folder: run for run in _runs(experiment, job)}
        taken = next(iter(runs_of_job.values())).settings.given()
        cell = Cell({k: v for k, v in job.items() if k in taken}, tuple(runs_of_job.values()))
        cells.setdefault(cell.folder, cell)
    _check_settings_are_taken(experiment, list(cells.values()))
    return list(cells.values())


def _runs(experiment: Experiment, job: dict[str, AxisValue]) -> Iterator[Run]:
    for packed in _combine(packed_axes(experiment)):
        values: dict[str, Any] = {**experiment.settings, **job, **packed}
        # In a grid over objectives or likelihoods, some settings apply to some of them only. They
        # are left out of the other runs.
        untaken = values.keys() - taken_settings(values)
        kept = {axis: value for axis, value in job.items() if axis not in untaken}
        for override in experiment.overrides:
            if override.when.items() <= kept.items():
                values |= override.settings
        for key in untaken:
            values.pop(key, None)
        folder = _folder({axis: v for axis, v in (job | packed).items() if axis in values})
        try:
            settings = Settings.model_validate(values)
        except ValidationError as error:
            item = error.errors()[0]
            key = ".".join(str(part) for part in item["loc"])
            message = message_of(item)
            place = "axes." if key in experiment.axes else "settings." if key else ""
            found = f" (found {values[key]!r})" if key in values else ""
            raise ValueError(f"{place}{key}{': ' if key else ''}{message}{found}") from None
        yield Run(settings, folder)


def _combine(axes: dict[str, list[AxisValue]]) -> Iterator[dict[str, AxisValue]]:
    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _folder(values: dict[str, AxisValue]) -> Path:
    return Path(*(axis_folder(axis, value) for axis, value in values.items()))


def _check_settings_are_taken(experiment: Experiment, cells: list[Cell]) -> None:
    taken = {key for cell in cells for run in cell.runs for key in run.settings.given()}
    for key in {*experiment.settings, *experiment.axes} - taken:
        raise ValueError(f"no objective, likelihood or network here takes '{key}': leave it out")
