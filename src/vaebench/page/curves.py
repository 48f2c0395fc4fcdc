"""The curves of the page: what was recorded of each run during training."""

from typing import Any, TypedDict

import pandas as pd

from vaebench.experiment.comparison import comparison_of
from vaebench.experiment.settings import format_value
from vaebench.results.intervals import CONFIDENCE, student_quantile
from vaebench.results.read import Results, varying

METRICS = {
    "bound": "test bound",
    "train": "training bound",
    "gap": "training minus test bound",
    "rate": "rate",
    "distortion": "distortion",
    "objective": "objective on the test set",
}
"""What can be chosen, with its name. All are in nats per image."""
DIGITS = 3


class Run(TypedDict):
    """A run's curves."""

    n: int
    group: str
    seed: int
    values: dict[str, list[float | None]]
    """By metric, at the places of the experiment. Empty where nothing was recorded."""


class Curves(TypedDict):
    """The curves of an experiment."""

    experiment: str
    unit: str
    """epoch or step."""
    places: list[int]
    unscaled: bool
    """Whether bounds are those of the unscaled data."""
    runs: list[Run]


def curves_of(results: Results) -> list[Curves]:
    """The curves of each experiment that has runs."""
    found = (_of_experiment(results, e.name) for e in results.tier.experiments)
    return [curves for curves in found if curves["runs"]]


def t_quantiles(curves: list[Curves]) -> dict[int, float]:
    """The 97.5% quantile of Student's t for each number of seeds that a group may have."""
    most = max((len(each["runs"]) for each in curves), default=1)
    return {
        count: round(student_quantile(0.5 + CONFIDENCE / 2, count - 1), 6)
        for count in range(2, most + 1)
    }


def _of_experiment(results: Results, name: str) -> Curves:
    experiment, runs = results.tier.experiment(name), results.of(name)
    history = results.history[results.history["experiment"] == name]
    unit = "epoch" if history["epoch"].notna().any() else "step"
    places = sorted(int(place) for place in history[unit].dropna().unique())
    comparison = comparison_of(experiment.axes, experiment.baseline)
    unscaled = comparison is not None and comparison.bound != "test_elbo"
    apart = [
        axis
        for axis in varying(experiment)
        if axis != "latent_dim" and len(experiment.axes[axis]) > 1
    ] or ["objective"]
    by_folder = dict(list(history.groupby("folder", sort=False)))
    return Curves(
        experiment=name,
        unit=unit,
        places=places,
        unscaled=unscaled,
        runs=[
            Run(
                n=int(row["latent_dim"]),
                group=", ".join(text for axis in apart if (text := _value(axis, row[axis]))),
                seed=int(row["seed"]),
                values=_values(
                    by_folder[row["folder"]].set_index(unit), places, _shift(row, unscaled)
                ),
            )
            for _, row in runs.iterrows()
            if row["folder"] in by_folder
        ],
    )


def _value(axis: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if pd.isna(value) else f"{axis} = {format_value(float(value))}"


def _shift(row: pd.Series, unscaled: bool) -> float:
    """What makes the bound of a run's scaled data that of its unscaled data, in nats."""
    shift = row["test_elbo_data_units"] - row["test_elbo"] if unscaled else 0.0
    return 0.0 if pd.isna(shift) else float(shift)


def _values(points: pd.DataFrame, places: list[int], shift: float) -> dict[str, list[float | None]]:
    at = points.reindex(places)
    bound, train = (at[k].astype(float) + shift for k in ("test_elbo", "train_elbo"))
    columns = {
        "bound": bound,
        "train": train,
        "gap": train - bound,
        "rate": at["test_rate"].astype(float),
        "distortion": at["test_distortion"].astype(float),
        "objective": at["test_objective"].astype(float),
    }
    # The objective of the paper's methods is the bound itself, which is not said twice.
    if (columns["objective"] + shift - bound).abs().max() < 1e-6:
        del columns["objective"]
    return {
        name: [None if pd.isna(x) else round(float(x), DIGITS) for x in values]
        for name, values in columns.items()
        if values.notna().any()
    }
