"""A statistic of the networks themselves: how many outputs an encoder has."""

import pandas as pd

from vaebench.claims.needs import VARIANCES
from vaebench.claims.registry import Values, statistic
from vaebench.claims.select import Dim, Watched, paired, runs_of
from vaebench.experiment.needs import planned_settings
from vaebench.experiment.settings import Settings


@statistic
def encoder_outputs_ratio(results: Watched, of: str, over: str, n: Dim) -> Values:
    """Outputs of the encoder under one objective over those under another, counted from the layers
    that their networks have. It is the same for every seed.
    """
    need = VARIANCES.having(objective=(of, over))
    rows, others = (runs_of(results, need, n, objective=name) for name in (of, over))
    name, dim = str(rows["experiment"].iloc[0]), int(rows["latent_dim"].iloc[0])
    ratio = _outputs(results, name, of, dim) / _outputs(results, name, over, dim)
    zero = pd.Series(0.0, others["seed"])
    return {"": paired(pd.Series(ratio, rows["seed"]), zero)}


def _outputs(results: Watched, experiment: str, objective: str, latent_dim: int) -> int:
    """The sizes of the encoder's last layers, summed."""
    # torch is imported for this count only; reading a config must not need it.
    import torch

    from vaebench.models.make import make_vae

    wanted = {"objective": objective, "latent_dim": latent_dim}
    planned = planned_settings(results.tier.experiment(experiment))
    settings = Settings.model_validate(
        next(run for run in planned if wanted.items() <= run.items())
    )
    # The layers between data and codes do not count, so any shape of images will do.
    network = make_vae([settings], (64, 64, 3), torch.device("cpu")).network
    return sum(network.heads.values())
