"""An experiment and its runs: cells, one training job each, and the runs packed in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict

from vaebench.settings import OPTIONAL, AxisValue, Name, Settings, axis_folder, taken_settings

NAMES_A_SETTING: JsonDict = {"propertyNames": {"enum": list(Settings.model_fields)}}

PACKABLE = frozenset({"seed", "posterior_std", "latent_scale", "data_scale"})
"""Axes whose runs have the same shapes and number of steps, and so can share a pack."""


class Strict(BaseModel):
    """Refuses keys it does not know and values of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Experiment(Strict):
    """A regular grid of runs with a name: fixed settings, and axes that are each a list."""

    name: Name = Field(description="Names the experiment in paths, tables and on the command line.")
    description: str = Field("", description="One line for the report.")
    settings: dict[str, AxisValue] = Field(
        default_factory=dict,
        description="Settings that all runs of the experiment share.",
        json_schema_extra=NAMES_A_SETTING,
    )
    axes: dict[str, Annotated[list[AxisValue], Field(min_length=1)]] = Field(
        description="Settings that vary, each with its values, in the order they have in paths.",
        min_length=1,
        json_schema_extra=NAMES_A_SETTING,
    )
    packed: list[str] = Field(
        default_factory=lambda values: ["seed"] if "seed" in values.get("axes", {}) else [],
        description="Axes whose runs are trained together in one process, as stacked tensors; the "
        "seeds if not given.",
    )

    @model_validator(mode="after")
    def _check_axes(self) -> Experiment:
        for key in [*self.settings, *self.axes]:
            if key not in Settings.model_fields:
                raise ValueError(
                    f"'{key}' is no setting of a run; known: {', '.join(Settings.model_fields)}"
                )
        for axis, values in self.axes.items():
            if axis in self.settings:
                raise ValueError(f"'{axis}' is both a setting and an axis")
            if len(set(values)) < len(values):
                raise ValueError(f"axes.{axis} names a value twice: {values}")
        for axis in self.packed:
            if axis not in self.axes:
                raise ValueError(f"packed axis '{axis}' is not among the axes: {list(self.axes)}")
            if axis not in PACKABLE:
                raise ValueError(f"axis '{axis}' cannot be packed; these can: {sorted(PACKABLE)}")
        expand(self)
        return self


@dataclass(frozen=True)
class Run:
    """A run and its place below the folder of its experiment."""

    settings: Settings
    folder: Path
    """`<job axes>/<packed axes>`, a folder `axis~value` for each, such as `latent_dim~2/seed~0`."""


@dataclass(frozen=True)
class Cell:
    """The runs of one training job: one value of each job axis, all values of the packed ones."""

    folder: Path
    runs: tuple[Run, ...]


def job_axes(experiment: Experiment) -> dict[str, list[AxisValue]]:
    """The axes that make jobs, in the order of the config; wildcards of the workflow."""
    return {k: v for k, v in experiment.axes.items() if k not in experiment.packed}


def packed_axes(experiment: Experiment) -> dict[str, list[AxisValue]]:
    """The axes whose runs share a job, in the order of the config."""
    return {k: v for k, v in experiment.axes.items() if k in experiment.packed}


def expand(experiment: Experiment) -> list[Cell]:
    """All cells of an experiment, in the order of the config.

    Raises:
        ValueError: a run's settings are impossible, two runs are the same, or a setting is taken
            by no run.
    """
    cells = [
        Cell(_folder(job), tuple(_runs(experiment, job))) for job in _combine(job_axes(experiment))
    ]
    runs = [run for cell in cells for run in cell.runs]
    _check_settings_are_taken(experiment, runs)
    _check_runs_differ(runs)
    return cells


def _runs(experiment: Experiment, job: dict[str, AxisValue]) -> Iterator[Run]:
    for packed in _combine(packed_axes(experiment)):
        values: dict[str, Any] = {**experiment.settings, **job, **packed}
        # In a grid over objectives or likelihoods, a setting that only some of them take is left
        # out for the others.
        for key in OPTIONAL - taken_settings(values):
            values.pop(key, None)
        try:
            settings = Settings.model_validate({k: _as_field(k, v) for k, v in values.items()})
        except ValidationError as error:
            item = error.errors()[0]
            key = ".".join(str(part) for part in item["loc"])
            message = item["msg"].removeprefix("Value error, ")
            place = "axes." if key in experiment.axes else "settings." if key else ""
            found = f" (found {values[key]!r})" if key in values else ""
            raise ValueError(f"{place}{key}{': ' if key else ''}{message}{found}") from None
        yield Run(settings, _folder(job) / _folder(packed))


def _combine(axes: dict[str, list[AxisValue]]) -> Iterator[dict[str, AxisValue]]:
    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _folder(values: dict[str, AxisValue]) -> Path:
    return Path(*(axis_folder(axis, value) for axis, value in values.items()))


def _as_field(key: str, value: AxisValue) -> AxisValue:
    # YAML writes 1 for 1.0; the settings are strict so that a digest never depends on which.
    is_float = "float" in str(Settings.model_fields[key].annotation)
    return float(value) if is_float and type(value) is int else value


def _check_settings_are_taken(experiment: Experiment, runs: list[Run]) -> None:
    taken = {key for run in runs for key in run.settings.given()}
    for key in {*experiment.settings, *experiment.axes} - taken:
        raise ValueError(f"no objective or likelihood here takes '{key}': leave it out")


def _check_runs_differ(runs: list[Run]) -> None:
    seen: dict[str, Run] = {}
    for run in runs:
        if other := seen.get(run.settings.digest):
            raise ValueError(f"{other.folder} and {run.folder} are the same run")
        seen[run.settings.digest] = run
