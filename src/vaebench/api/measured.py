"""What is measured on a trained run: a record of numbers, and arrays with the values behind it."""

from typing import Any, NamedTuple

from numpy.typing import NDArray

from vaebench.latent.report import Report
from vaebench.runs.evidence_record import Evidence
from vaebench.runs.latent_record import Latent


class MeasuredEvidence(NamedTuple):
    """The evidence of a run."""

    record: Evidence
    """Means and quantiles in nats, and what says how far they can be trusted."""
    arrays: dict[str, NDArray[Any]]
    """Values of each image: `log_p`, `elbo` and more."""


class MeasuredLatent(NamedTuple):
    """The aggregated posterior of a run against its prior."""

    report: Report
    """Whether it is safe to sample from the prior, what to do if not, and why: print it."""
    record: Latent
    """The numbers behind it, in nats."""
    arrays: dict[str, NDArray[Any]]
    """`mean` and `covariance` of the aggregated posterior, where the prior is N(0, I), and more."""
