"""The objectives that a VAE can be trained with, one function each.

To add one, write a function below `OBJECTIVES` and put one `@objective(...)` line above it. The
function takes the approximate posterior of a batch and the log-likelihood of each example under one
posterior sample. It returns the value to maximise for each run of the pack, in nats per example.
Config, command line, paths, evaluation and figures read the registry.

Shapes: `run` is the number of runs trained together, `batch` the number of examples in a batch,
`latent` the latent dimension n. Equation numbers are those of Fyffe, "There and Back Again:
Unraveling the Variational Auto-Encoder" (arXiv 1912.10309).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

# Planning a workflow reads this registry. Importing torch would add seconds to every start.
if TYPE_CHECKING:
    from torch import Tensor


class Posterior(NamedTuple):
    """The diagonal Gaussian q(z|x) = N(mean, diag(std)^2) of each example in a batch."""

    mean: Tensor
    """Shape [run, batch, latent]."""
    std: Tensor
    """Shape [run, batch, latent] if it is learned, [run, 1, 1] if it is constant."""


Bound = Callable[[Posterior, "Tensor"], "Tensor"]


@dataclass(frozen=True)
class Objective:
    """A registered objective, with the posterior and prior that it is for."""

    name: str
    bound: Bound
    posterior: Literal["learned", "constant"]
    """`learned`: the encoder has a head for the standard deviation. `constant`: the standard
    deviation is the setting `posterior_std` for every example and dimension."""
    prior: Literal["standard", "floating"]
    """`standard`: p(z) = N(0, I). `floating`: p(z) = N(0, S^2) with S^2 of Eq. 4."""


OBJECTIVES: dict[str, Objective] = {}


def objective(
    *, posterior: Literal["learned", "constant"], prior: Literal["standard", "floating"]
) -> Callable[[Bound], Bound]:
    """Register the decorated function under its own name, with hyphens for underscores."""

    def register(bound: Bound) -> Bound:
        name = bound.__name__.replace("_", "-")
        if name in OBJECTIVES:
            raise ValueError(f"two objectives are named '{name}'")
        OBJECTIVES[name] = Objective(name, bound, posterior, prior)
        return bound

    return register


@objective(posterior="learned", prior="standard")
def learned(posterior: Posterior, log_likelihood: Tensor) -> Tensor:
    """Eq. 1: the evidence lower bound with learned posterior variances and the prior N(0, I).

    Args:
        posterior: q(z|x) of the batch.
        log_likelihood: log p(x|z) in nats for one z of each example, shape [run, batch].

    Returns:
        The mean bound of the batch, shape [run].
    """
    variance = posterior.std.square()
    kl = 0.5 * (variance + posterior.mean.square() - 1 - 2 * posterior.std.log()).sum(-1)
    return (log_likelihood - kl).mean(-1)


@objective(posterior="constant", prior="floating")
def constant(posterior: Posterior, log_likelihood: Tensor) -> Tensor:
    """Eq. 2 with Sigma = sigma^2 I and the prior variance S^2 = Sigma + M_B of Eq. 4.

    The gradient flows through M_B. Arguments and result as in `learned`.
    """
    variance = posterior.std.square()
    prior_variance = variance + second_moment(posterior.mean)
    ratio = variance / prior_variance
    kl = 0.5 * (ratio - 1 - ratio.log() + posterior.mean.square() / prior_variance).sum(-1)
    return (log_likelihood - kl).mean(-1)


@objective(posterior="constant", prior="floating")
def bilbo(posterior: Posterior, log_likelihood: Tensor) -> Tensor:
    """Eq. 24, the Batch Information Lower Bound: -1/2 log|I + Sigma^-1 M_B| + E_B[log p(x|z)].

    The gradient flows through M_B. Arguments and result as in `learned`.
    """
    information = second_moment(posterior.mean) / posterior.std.square()
    return log_likelihood.mean(-1) - 0.5 * information.log1p().sum((-2, -1))


def second_moment(mean: Tensor) -> Tensor:
    """M_B of Eq. 4: the batch mean of diag(mu)^2, shape [run, 1, latent]."""
    return mean.square().mean(-2, keepdim=True)
