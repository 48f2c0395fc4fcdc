"""What the lead of a constant variance owes to runs in which more latent dimensions collapse."""

from dataclasses import dataclass

import pandas as pd

from vaebench.results.intervals import Estimate, estimate
from vaebench.results.read import Results


@dataclass(frozen=True)
class Collapse:
    """Runs with learned variances, split by how many latent dimensions they use."""

    few: pd.DataFrame
    """Those that use fewer dimensions than most."""
    others: pd.DataFrame
    lead: Estimate
    """The test bound of BILBO minus theirs over the seeds of `others`, in nats."""


def collapse_of(results: Results, experiment: str, n: int) -> Collapse | None:
    """Split the completed runs of an experiment by their active units.

    None if no run uses fewer dimensions than most, or fewer than two seeds would be left.
    """
    columns = ["test_active_units", "test_elbo"]
    of = {
        objective: results.of(experiment, objective=objective, latent_dim=n)
        .set_index("seed")[columns]
        .dropna()
        .astype({"test_active_units": int, "test_elbo": float})
        for objective in ("learned", "bilbo")
    }
    learned = of["learned"].loc[of["learned"].index.intersection(of["bilbo"].index)]
    if learned.empty:
        return None
    usual = learned["test_active_units"].mode().max()
    is_few = learned["test_active_units"] < usual
    few, others = learned[is_few], learned[~is_few]
    if few.empty or len(others) < 2:
        return None
    lead = of["bilbo"].loc[others.index, "test_elbo"] - others["test_elbo"]
    return Collapse(few, others, estimate(lead.tolist()))
