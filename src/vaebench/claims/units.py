"""Statistics of active units: the latent dimensions whose mean rate exceeds 0.01 nats."""

import numpy as np
import pandas as pd

from vaebench.claims.jackknife import fisher_z, pseudo_values
from vaebench.claims.needs import UNIT_T, VARIANCES
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import Dim, NotRun, Watched, by_seed, check_all_values, paired, runs_of
from vaebench.claims.spectra import LARGEST, load_spectra
from vaebench.experiment.settings import format_value

LEAST_SEEDS = 5
"""With fewer, a correlation without one of them is of three points or fewer."""


@statistic
def active_units_difference(results: Watched, of: str, minus: str, n: Dim) -> Values:
    """Active units of one objective minus another's at the same seed."""
    need = VARIANCES.having(objective=(of, minus))
    first, second = (
        by_seed(runs_of(results, need, n, objective=name), "test_active_units")
        for name in (of, minus)
    )
    return {"": paired(first, second)}


@statistic
def bound_on_active_units(results: Watched, objective: str, n: Dim) -> Values:
    """Fisher's z of the correlation over seeds of the final test bound with the active units of one
    objective, as jackknife pseudo-values of the seeds.

    A correlation is one number of all seeds. See `jackknife.py` for what stands for each seed.
    """
    rows = runs_of(results, VARIANCES.having(objective=(objective,)), n, objective=objective)
    table = pd.concat(
        [by_seed(rows, column) for column in ("test_elbo", "test_active_units")], axis=1
    ).to_numpy()
    if len(table) < LEAST_SEEDS:
        raise NotRun(f"fewer than {LEAST_SEEDS} seeds have no correlation to judge")
    found = pseudo_values(table, fisher_z)
    if np.isfinite(table).all() and not np.isfinite(found).all():
        raise NotRun("the runs, or all but one, have the same number of active units")
    return {"": found}


@statistic
def active_units_minus_predicted(results: Watched, n: Dim) -> Values:
    """Active units minus their predicted number over n, T = I, at each data scale: predicted is the
    number of eigenvalues of the covariance of the scaled pixels above 1, n at most.

    This is the collapse of Section 6 with T = I: a direction of the data with less variance than
    the likelihood is modelled as noise. For the linear VAE it is exact (Tipping and Bishop, 1999).
    The eigenvalues of scaled data are lambda^2 times those of config/spectra.yaml.
    """
    rows = runs_of(results, UNIT_T, n)
    check_all_values(results, rows, "data_scale")
    return {
        f"data_scale {format_value(float(str(scale)))}": _share_off(group, float(str(scale)))
        for scale, group in rows.groupby("data_scale")
    }


def _share_off(rows: pd.DataFrame, scale: float) -> list[float]:
    dataset, n = str(rows["dataset"].iloc[0]), int(rows["latent_dim"].iloc[0])
    expected = predicted_units(dataset, n, scale)
    return [(units - expected) / n for units in by_seed(rows, "test_active_units")]


def predicted_units(dataset: str, n: int, scale: float) -> int:
    """The number of latent dimensions that do not collapse if T = I: min(n, #{lambda^2 e > 1}).

    Raises:
        NotRun: config/spectra.yaml does not have the dataset, or too few eigenvalues of it.
    """
    spectra = load_spectra()
    if dataset not in spectra:
        raise NotRun(f"config/spectra.yaml lacks the spectrum of '{dataset}'")
    above = sum(scale**2 * value > 1 for value in spectra[dataset])
    if above == LARGEST < n:
        raise NotRun(f"config/spectra.yaml has {LARGEST} eigenvalues, too few for n = {n}")
    return min(n, above)
