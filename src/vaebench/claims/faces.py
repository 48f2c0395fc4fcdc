"""Statistics of the CelebA runs, which compare the standard ELBO with BILBO at several stds."""

from math import log

import numpy as np
import pandas as pd

from vaebench.claims.needs import FACES, FACES_FORMS
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import Watched, by_seed, paired, runs_of
from vaebench.experiment.needs import Need


@statistic
def faces_bound_difference(results: Watched, posterior_std: float) -> Values:
    """Final bound on the held-out images of BILBO at this std minus that of the standard ELBO, at
    the same seed, in nats.
    """
    return _minus_learned(results, posterior_std, "test_elbo")


@statistic
def faces_loss_difference(results: Watched, posterior_std: float) -> Values:
    """Final objective on the training images of BILBO at this std minus that of the standard ELBO,
    at the same seed, in nats: minus the difference of their losses.
    """
    return _minus_learned(results, posterior_std, "train_objective")


@statistic
def faces_forms_bound(results: Watched, posterior_std: float) -> Values:
    """Final bound on the held-out images of BILBO at this std minus that of the constant variance,
    at the same seed, in nats: one objective in two forms.
    """
    return _minus_constant(results, posterior_std, "test_elbo")


@statistic
def faces_forms_loss(results: Watched, posterior_std: float) -> Values:
    """Final objective on the training images of BILBO at this std minus that of the constant
    variance, at the same seed, in nats: one objective in two forms.
    """
    return _minus_constant(results, posterior_std, "train_objective")


@statistic
def faces_error_ratio(results: Watched, posterior_std: float) -> Values:
    """Log of the mean squared residual of a held-out pixel under BILBO at this std, minus that of
    the standard ELBO at the same seed.
    """
    bilbo, learned = (rows.map(log) for rows in _pair(results, posterior_std, "test_mse"))
    return {"": paired(bilbo, learned)}


@statistic
def faces_samples_variation(results: Watched, posterior_std: float) -> Values:
    """Log of the variance of a pixel over samples from the optimal prior under BILBO at this std,
    minus that of the standard ELBO at the same seed; the variances are means over the pixels.
    """
    bilbo = _fitted_variation(results, objective="bilbo", posterior_std=posterior_std)
    return {"": paired(bilbo, _fitted_variation(results, objective="learned"))}


@statistic
def unit_std_exaggerates(results: Watched, posterior_std: float) -> Values:
    """Log of the variance of a pixel over samples from the optimal prior under BILBO at std 1,
    minus that at this std and the same seed; above 0 is more variation at std 1.
    """
    unit, other = (
        _fitted_variation(results, objective="bilbo", posterior_std=std)
        for std in (1.0, posterior_std)
    )
    return {"": paired(unit, other)}


@statistic
def standard_prior_variation(results: Watched) -> Values:
    """Log of the variance of a pixel over samples from N(0, I), minus that over reconstructions,
    standard ELBO; the variances are means over the pixels.
    """
    rows = _with_variation(results, objective="learned")
    return {"": [float(x) for x in rows["standard"] - rows["reconstructions"]]}


@statistic
def fitted_prior_is_closer(results: Watched) -> Values:
    """How much closer samples from the fitted prior are to the reconstructions than samples from
    N(0, I) are, standard ELBO: difference of distances of the log variance of a pixel.
    """
    rows = _with_variation(results, objective="learned")
    standard, fitted = (
        (rows[name] - rows["reconstructions"]).abs() for name in ("standard", "fitted")
    )
    return {"": [float(x) for x in standard - fitted]}


@statistic
def prior_trace(results: Watched, posterior_std: float, printed: float) -> Values:
    """Log of tr S^2 under BILBO at this std over the printed number; S^2 is fitted to the training
    images.
    """
    traces = _traces(results, posterior_std)
    return {"": [log(x / printed) for x in traces]}


@statistic
def prior_trace_follows_std(results: Watched, posterior_std: float) -> Values:
    """Log of tr S^2 / std^2 under BILBO at this std, minus that at std 1 and the same seed: 0 if
    the same codes were found in another unit.
    """
    here, at_one = _traces(results, posterior_std), _traces(results, 1.0)
    logs = (traces.map(log) for traces in (here / posterior_std**2, at_one))
    return {"": paired(*logs)}


def _minus_learned(results: Watched, posterior_std: float, column: str) -> Values:
    return {"": paired(*_pair(results, posterior_std, column))}


def _minus_constant(results: Watched, posterior_std: float, column: str) -> Values:
    std = posterior_std
    bilbo, constant = (
        _column(results, FACES_FORMS, column, objective=name, posterior_std=std)
        for name in ("bilbo", "constant")
    )
    return {"": paired(bilbo, constant)}


def _pair(results: Watched, posterior_std: float, column: str) -> "list[pd.Series[float]]":
    """A column of BILBO at a std, and of the standard ELBO, each by seed."""
    bilbo = _column(results, FACES, column, objective="bilbo", posterior_std=posterior_std)
    return [bilbo, _column(results, FACES, column, objective="learned")]


def _column(results: Watched, need: Need, column: str, **settings: object) -> "pd.Series[float]":
    return by_seed(runs_of(results, need, None, **settings), column)


def _fitted_variation(results: Watched, **settings: object) -> "pd.Series[float]":
    """The log variance of a pixel over samples from the optimal prior, by seed."""
    return by_seed(_with_variation(results, **settings), "fitted")


def _traces(results: Watched, posterior_std: float) -> "pd.Series[float]":
    std = posterior_std
    return _column(results, FACES, "fitted_prior_trace", objective="bilbo", posterior_std=std)


def _with_variation(results: Watched, **settings: object) -> pd.DataFrame:
    """Runs by seed with the log variances of a pixel; NaN if diverged."""
    rows = runs_of(results, FACES, None, **settings).sort_values("seed")
    names = ("standard", "fitted", "reconstructions")
    lines = []
    for _, row in rows.iterrows():
        arrays = results.arrays(row)
        is_finite = row["status"] == "completed"
        lines.append(
            {k: np.log(float(arrays[f"variation_{k}"])) if is_finite else np.nan for k in names}
        )
    return pd.DataFrame(lines).assign(seed=rows["seed"].to_numpy())
