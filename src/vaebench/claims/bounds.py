"""Statistics on bounds."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from vaebench.claims import NotRun, statistic
from vaebench.claims.select import Dim, by_seed, by_seed_and, paired, runs_of
from vaebench.results import Results


@statistic
def bound_difference(results: Results, of: str, minus: str, n: Dim) -> list[float]:
    """Final test bound of one objective minus another's at the same seed, in nats."""
    first, second = (
        by_seed(runs_of(results, "posterior_variance", n, objective=name), "test_elbo")
        for name in (of, minus)
    )
    return paired(first, second)


@statistic
def bound_deviation(results: Results, objective: str, n: Dim) -> list[float]:
    """Distance of a run's final test bound from the mean of the other seeds', in nats."""
    bounds = by_seed(runs_of(results, "posterior_variance", n, objective=objective), "test_elbo")
    if len(bounds) < 2:
        raise NotRun("one seed only")
    others = (bounds.sum() - bounds) / (len(bounds) - 1)
    return [float(value) for value in (bounds - others).abs()]


@statistic
def learned_variance_drops(results: Results, n: Dim) -> list[float]:
    """Sum of all falls of the test bound between recorded epochs after the first tenth of training,
    learned T minus T = I at the same seed, mean over data scales, in nats.
    """
    return _learned_minus_unit(results, n, _drops)


@statistic
def learned_variance_growth(results: Results, n: Dim) -> list[float]:
    """Rise of the test bound over the last half of training, learned T minus T = I at the same
    seed, mean over data scales, in nats.
    """
    return _learned_minus_unit(results, n, _late_growth)


def _learned_minus_unit(
    results: Results, n: Dim, measure: Callable[[pd.DataFrame], float]
) -> list[float]:
    values = {}
    for likelihood in ("gaussian-learned", "gaussian"):
        rows = runs_of(results, "gaussian_scale", n, likelihood=likelihood)
        numbers = [measure(_history(results, row)) for _, row in rows.iterrows()]
        values[likelihood] = pd.Series(numbers, rows["seed"]).groupby(level=0).mean()
    return paired(values["gaussian-learned"], values["gaussian"])


def _history(results: Results, row: pd.Series) -> pd.DataFrame:
    history: pd.DataFrame = results.history
    own = (history["experiment"] == row["experiment"]) & (history["folder"] == row["folder"])
    points: pd.DataFrame = history[own].sort_values("epoch")
    return points


def _drops(history: pd.DataFrame) -> float:
    bounds = history[history["epoch"] >= 0.1 * history["epoch"].max()]["test_elbo"].astype(float)
    return float((-bounds.diff()).clip(lower=0).sum())


def _late_growth(history: pd.DataFrame) -> float:
    bounds = history["test_elbo"].astype(float).to_numpy()
    middle = int(np.searchsorted(history["epoch"], 0.5 * history["epoch"].max()))
    return float(bounds[-1] - bounds[middle])


@statistic
def learned_variance_residual(results: Results, n: Dim) -> list[float]:
    """Test residual under learned T over that of always showing the mean image, mean over data
    scales: 1 if nothing of the input is reconstructed.
    """
    rows = runs_of(results, "gaussian_scale", n, likelihood="gaussian-learned")
    ratio = rows["test_mse"].astype(float) / rows["test_mean_image_mse"]
    return [float(value) for value in ratio.groupby(rows["seed"]).mean()]


@statistic
def scale_range_of_bound(results: Results, n: Dim) -> list[float]:
    """Largest minus smallest final test bound over data scales under BAGGINS, in nats of the
    unscaled data.
    """
    rows = runs_of(results, "baggins_scale", n)
    table = by_seed_and(rows, "data_scale", "test_elbo_data_units")
    return [float(v) for v in table.max(axis=1, skipna=False) - table.min(axis=1, skipna=False)]


@statistic
def matching_std_is_best(results: Results, n: Dim) -> list[float]:
    """Final test bound of the constant posterior whose std is the latent scale, minus the best of
    the other stds; the smallest such lead over the latent scales, in nats.
    """
    tables = _bounds_by_std(results, n)
    matched = [scale for scale, table in tables.items() if scale in table]
    if len(matched) < 2:
        raise NotRun("fewer than two stds are also latent scales")
    # A diverged run is no rival; where the matching one diverged, the lead is not known.
    leads = [_lead(tables[scale], scale) for scale in matched]
    return _smallest(leads)


@statistic
def learned_is_like_unit_std(results: Results, n: Dim) -> list[float]:
    """How much closer the final test bound of `learned` is to that of std 1 than to that of any
    other std; the smallest such lead over the latent scales, in nats.
    """
    learned = _bounds_of_learned(results, n)
    distances = {
        scale: table.sub(learned[scale], axis=0).abs()
        for scale, table in _bounds_by_std(results, n).items()
    }
    return _smallest([_lead(-distance, 1.0) for distance in distances.values()])


@statistic
def unit_std_minus_learned(results: Results, n: Dim) -> list[float]:
    """Final test bound of std 1 minus that of `learned`, mean over latent scales, in nats."""
    learned = _bounds_of_learned(results, n)
    differences = []
    for scale, table in _bounds_by_std(results, n).items():
        if 1.0 not in table:
            raise NotRun("no runs with std 1")
        differences.append(table[1.0] - learned[scale])
    return pd.concat(differences, axis=1).mean(axis=1, skipna=False).tolist()


def _bounds_by_std(results: Results, n: Dim) -> dict[float, pd.DataFrame]:
    """For each latent scale, the final test bounds of BILBO: seeds by posterior std."""
    rows = runs_of(results, "latent_scaling", n, objective="bilbo")
    return {
        float(str(scale)): by_seed_and(group, "posterior_std", "test_elbo")
        for scale, group in rows.groupby("latent_scale")
    }


def _bounds_of_learned(results: Results, n: Dim) -> dict[float, pd.Series]:
    """For each latent scale, the final test bounds of `learned` by seed."""
    rows = runs_of(results, "latent_scaling", n, objective="learned")
    return {
        float(str(scale)): by_seed(group, "test_elbo")
        for scale, group in rows.groupby("latent_scale")
    }


def _lead(table: pd.DataFrame, column: float) -> pd.Series:
    """A column minus the largest of the others, row by row."""
    if column not in table or table.shape[1] < 2:
        raise NotRun(f"no runs with std {column:g}, or with no other")
    return table[column] - table.drop(columns=column).max(axis=1)


def _smallest(leads: list[pd.Series]) -> list[float]:
    return pd.concat(leads, axis=1).min(axis=1, skipna=False).tolist()
