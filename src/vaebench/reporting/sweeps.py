"""What the collected runs of a tier say beside its ledger: falls, sweeps, and what is missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import isfinite
from typing import Any

import pandas as pd

from vaebench.claims.spectra import load_spectra
from vaebench.experiment.settings import format_value
from vaebench.plain_text import plural
from vaebench.results.read import Results

LATE = 0.5
"""Falls are looked for from this share of the training on."""
OF_FIG08 = ("constant_variance", "latent_scaling", "scaling_control")
UNKNOWN = "*not known: a run diverged*"


@dataclass(frozen=True)
class Fall:
    """The largest fall of a run's test bound between two records in the second half of training."""

    size: float
    """In nats. Below 0 if the bound only rises."""
    seed: int
    epoch: int
    """Of the record after the fall."""
    bound: float
    """The test bound there, in nats."""
    later: tuple[int, float] | None
    """The epoch of the next record and the test bound there. None if there is no later one."""


@dataclass(frozen=True)
class Sweep:
    """The mean of a column over seeds at each value of an axis."""

    means: dict[float, float]
    """By rising value of the axis. NaN if a run diverged."""
    seeds: int
    """Only seeds that have all of these values count."""

    @property
    def span(self) -> tuple[str, str]:
        """The smallest and the largest value of the axis."""
        return format_value(min(self.means)), format_value(max(self.means))

    @property
    def factor(self) -> str:
        """The largest value of the axis over the smallest."""
        return f"{max(self.means) / min(self.means):,.0f}"

    def ends(self, digits: int) -> str:
        """How the mean changes from the first value of the axis to the last."""
        first, *_, last = self.means.values()
        return f"from {number(first, digits)} to {number(last, digits)}"

    def growth(self, digits: int, power: float = 1.0) -> str:
        """The last mean over the first, to this power."""
        first, *_, last = self.means.values()
        return number((last / first) ** power, digits)

    def extremes(self, digits: int) -> str:
        """The smallest and the largest mean."""
        means = pd.Series(self.means)
        low, high = means.min(skipna=False), means.max(skipna=False)
        return f"between {number(low, digits)} and {number(high, digits)}"


@dataclass(frozen=True)
class Coverage:
    """How many runs of an experiment with one likelihood and one n are trained."""

    experiment: str
    likelihood: str
    n: int
    trained: int
    planned: int


def largest_falls(results: Results, experiment: str, **settings: Any) -> list[Fall]:
    """The largest fall of each run with these settings, the largest first.

    Diverged runs and runs with fewer than two late records are left out.
    """
    runs = results.of(experiment, **settings)
    history = results.history[results.history["experiment"] == experiment]
    curves = dict(iter(history[["folder", "epoch", "test_elbo"]].groupby("folder")))
    falls = []
    for _, run in runs[runs["status"] != "diverged"].iterrows():
        if (points := curves.get(run["folder"])) is None:
            continue
        points = points.sort_values("epoch")
        late = points[points["epoch"] >= LATE * points["epoch"].max()]
        records = list(zip(late["epoch"].astype(int), late["test_elbo"].astype(float), strict=True))
        sizes = [before - after for (_, before), (_, after) in pairwise(records)]
        if not sizes:
            continue
        place = sizes.index(max(sizes)) + 1
        later = records[place + 1] if place + 1 < len(records) else None
        falls.append(Fall(sizes[place - 1], int(run["seed"]), *records[place], later))
    return sorted(falls, key=lambda fall: -fall.size)


def sweep(
    results: Results, experiment: str, axis: str, column: str, **settings: Any
) -> Sweep | None:
    """The mean of a column at each trained value of an axis, over the seeds that have them all.

    None if there is no such seed, or a single value.
    """
    runs = results.of(experiment, **settings)
    if runs.empty or column not in runs:
        return None
    table, folders = (runs.pivot(index="seed", columns=axis, values=c) for c in (column, "folder"))
    whole = table[folders.notna().all(axis=1)].astype(float)
    if whole.empty or whole.shape[1] < 2:
        return None
    means = whole.mean(axis=0, skipna=False).sort_index()
    return Sweep(dict(zip(means.index.astype(float), means.tolist(), strict=True)), len(whole))


def units_in_use(results: Results, experiment: str, **settings: Any) -> str:
    """The active units at each data scale λ, over the seeds that are there. Empty if none is."""
    runs = results.of(experiment, **settings)
    units = [
        (ends(group["test_active_units"].dropna().astype(int)), float(str(scale)))
        for scale, group in runs.groupby("data_scale")
    ]
    parts = []
    for count, group in groupby(units, key=lambda pair: pair[0]):
        parts.append(f"{count or UNKNOWN} at λ = {joined(format_value(x) for _, x in group)}")
    return "; ".join(parts)


def seeds_of(results: Results, experiment: str, axis: str, **settings: Any) -> str:
    """How many seeds the values of an axis have: `1 seed`, `1 to 3 seeds`."""
    runs = results.of(experiment, **settings)
    return plural(ends(runs.groupby(axis)["seed"].nunique()) or "0", "seed")


def largest_collapsed(
    results: Results, experiment: str, **settings: Any
) -> tuple[str, float] | None:
    """The largest λ of the runs where λ² times the largest eigenvalue is below 1, and the product.

    None if there is no such λ, or the spectrum of the dataset is not known.
    """
    runs = results.of(experiment, **settings)
    products = {
        float(run["data_scale"]): float(run["data_scale"]) ** 2 * spectrum[0]
        for _, run in runs.iterrows()
        if (spectrum := load_spectra().get(run["dataset"]))
    }
    below = [(scale, product) for scale, product in products.items() if product < 1]
    return (format_value(max(below)[0]), max(below)[1]) if below else None


def coverage(results: Results) -> list[Coverage]:
    """The trained and planned runs of each experiment, likelihood and n, as the config has them."""
    found = []
    for experiment in results.tier.experiments:
        trained, planned = results.of(experiment.name), results.planned(experiment.name)
        for (likelihood, n), group in planned.groupby(["likelihood", "latent_dim"], sort=False):
            own = (trained["likelihood"] == likelihood) & (trained["latent_dim"] == n)
            place = (experiment.name, str(likelihood), int(str(n)))
            found.append(Coverage(*place, int(own.sum()), len(group)))
    return found


def of_sweeps(results: Results) -> dict[str, object]:
    """What the template says of missing runs, of Fig. 8 at n = 2, and of T = I, by its name."""
    low: dict[str, Any] = {"likelihood": "gaussian", "latent_dim": 2}
    high = low | {"latent_dim": 100}
    places = coverage(results)
    of_fig08 = [p for p in places if p.n == 2 and p.experiment in OF_FIG08]
    return {
        "places": [place for place in places if place.trained < place.planned],
        "fig08_lacks": sum(place.planned - place.trained for place in of_fig08),
        "fig08_planned": sum(place.planned for place in of_fig08),
        "units": units_in_use(results, "gaussian_scale", **low),
        "units_seeds": seeds_of(results, "gaussian_scale", "data_scale", **low),
        "units_high": units_in_use(results, "gaussian_scale", **high),
        "units_seeds_high": seeds_of(results, "gaussian_scale", "data_scale", **high),
        "collapsed": largest_collapsed(results, "gaussian_scale", **low),
    }


def joined(texts: Iterable[str]) -> str:
    """A list in words: `a, b and c`."""
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last


def number(value: float, digits: int) -> str:
    """A number with this many decimals, and without any from a thousand on."""
    shown = 0 if abs(value) >= 1000 else digits
    return f"{value:.{shown}f}".replace("-", "−") if isfinite(value) else UNKNOWN


def ends(values: "pd.Series[int] | Sequence[int]") -> str:
    """The smallest and the largest value, once if they are the same. Empty if there is none."""
    if not len(values):
        return ""
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"
