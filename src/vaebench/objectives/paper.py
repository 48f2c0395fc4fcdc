"""The paper's objectives: the ELBO, the ELBO with a constant Sigma, and BILBO.

Equation numbers are those of Fyffe, "There and Back Again: Unraveling the Variational Auto-Encoder"
(arXiv 1912.10309).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaebench.objectives.registry import objective

if TYPE_CHECKING:
    from torch import Tensor

    from vaebench.core.batch import Batch


@objective(posterior="diagonal", prior="standard", on_whole_set=True)
def learned(batch: Batch) -> Tensor:
    """Eq. 1: the evidence lower bound with learned posterior variances and the prior N(0, I).

    Returns:
        The mean bound of the batch, shape [run].
    """
    mean, std = batch.posterior.mean, batch.posterior.std
    kl = 0.5 * (std.square() + mean.square() - 1 - 2 * std.log()).sum(-1)
    return (batch.log_likelihood - kl).mean(-1)


@objective(posterior="constant", prior="floating", on_whole_set=True)
def constant(batch: Batch) -> Tensor:
    """Eq. 2 with Sigma = sigma^2 I and the prior variance S^2 = Sigma + M_B of Eq. 4.

    The gradient flows through M_B. Result as in `learned`.
    """
    mean, variance = batch.posterior.mean, batch.posterior.std.square()
    prior_variance = variance + second_moment(mean)
    ratio = variance / prior_variance
    kl = 0.5 * (ratio - 1 - ratio.log() + mean.square() / prior_variance).sum(-1)
    return (batch.log_likelihood - kl).mean(-1)


@objective(posterior="constant", prior="floating", on_whole_set=True)
def bilbo(batch: Batch) -> Tensor:
    """Eq. 24, the Batch Information Lower Bound: -1/2 log|I + Sigma^-1 M_B| + E_B[log p(x|z)].

    The gradient flows through M_B. Result as in `learned`.
    """
    information = second_moment(batch.posterior.mean) / batch.posterior.std.square()
    return batch.log_likelihood.mean(-1) - 0.5 * information.log1p().sum((-2, -1))


def second_moment(mean: Tensor) -> Tensor:
    """M_B of Eq. 4: the batch mean of diag(mu)^2, shape [run, 1, latent]."""
    return mean.square().mean(-2, keepdim=True)
