"""Statistics of Eq. 4: the prior that is best for the posteriors of a trained model."""

import numpy as np
import pandas as pd

from vaebench.claims.needs import VARIANCES
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import Dim, NotRun, Watched, by_seed, runs_of

LEARNED = VARIANCES.having(objective=("learned",))


@statistic
def fitted_prior_deviation(results: Watched, n: Dim) -> Values:
    """How far the prior variance of Eq. 4 on the training set is from the given 1 under `learned`,
    mean over the active units.

    Dimensions that are not active have the posterior N(0, 1), whose variance of Eq. 4 is 1. So the
    mean over active units is (tr S^2 - n) over their number.
    """
    rows = runs_of(results, LEARNED, n, objective="learned")
    units = by_seed(rows, "test_active_units")
    if (units == 0).any():
        raise NotRun("the codes of a run are collapsed")
    excess = by_seed(rows, "fitted_prior_trace") - int(rows["latent_dim"].iloc[0])
    return {"": [float(x) for x in excess / units]}


@statistic
def fitted_prior_of_worse_dimension(results: Watched) -> Values:
    """Distance from 1 of the prior variance of Eq. 4 on the test set under `learned`, n = 2, of the
    dimension that is farther off.

    The trace could hide that one dimension is too wide and the other too narrow.
    """
    rows = runs_of(results, LEARNED, "low", objective="learned").sort_values("seed")
    return {"": [_worse_dimension(results, row) for _, row in rows.iterrows()]}


def _worse_dimension(results: Watched, row: pd.Series) -> float:
    if row["status"] != "completed":
        return float("nan")
    arrays = results.arrays(row)
    mean, std = (arrays[k].astype(float) for k in ("posterior_mean", "posterior_std"))
    return float(np.abs((std**2 + mean**2).mean(0) - 1).max())
