"""Objectives that the paper's are compared with, and controls that differ from them in one thing.

Their posteriors and priors are families, see `families.py`; `batch.kl` is the closed form for the
families that an objective is used with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vaebench.objectives.registry import objective
from vaebench.parameters import Parameter

if TYPE_CHECKING:
    from torch import Tensor

    from vaebench.core.batch import Batch

BETA = Parameter(4.0, minimum=0, description="beta: the weight of the KL divergence.")


def elbo(batch: Batch) -> Tensor:
    """The evidence lower bound in nats, shape [run]."""
    return (batch.log_likelihood - batch.kl).mean(-1)


@objective(posterior="diagonal", prior="floating")
def learned_floating(batch: Batch) -> Tensor:
    """`learned` with the prior N(0, S^2) of Eq. 4 in place of N(0, I)."""
    return elbo(batch)


@objective(posterior="diagonal-from-constant", prior="standard")
def learned_from_constant(batch: Batch) -> Tensor:
    """`learned` that starts at Sigma = sigma^2 I for every x."""
    return elbo(batch)


@objective(posterior="constant", prior="standard")
def constant_standard(batch: Batch) -> Tensor:
    """`constant` with the prior N(0, I) in place of the floating one."""
    return elbo(batch)


@objective(posterior="shared", prior="standard")
def shared(batch: Batch) -> Tensor:
    """The evidence lower bound with one learned diagonal Sigma for all x."""
    return elbo(batch)


@objective(posterior="shared", prior="floating")
def shared_floating(batch: Batch) -> Tensor:
    """`shared` with the prior N(0, S^2) of Eq. 4 in place of N(0, I)."""
    return elbo(batch)


@objective(posterior="full", prior="standard")
def full(batch: Batch) -> Tensor:
    """The evidence lower bound with a full Sigma(x)."""
    return elbo(batch)


@objective(posterior="full", prior=("floating-full", "floating"))
def full_floating(batch: Batch) -> Tensor:
    """`full` with a floating prior: S^2 = E[Sigma + mu mu'] of the batch, or its diagonal."""
    return elbo(batch)


@objective(
    posterior=("diagonal", "full", "shared", "constant"),
    prior=("standard", "floating"),
    parameters={
        "beta": BETA,
        "warm_up": Parameter(
            0.0,
            minimum=0,
            maximum=1,
            description="Share of the training during which beta grows from 0 to its value.",
        ),
    },
)
def beta_vae(batch: Batch, beta: Tensor, warm_up: Tensor) -> Tensor:
    """The beta-VAE (Higgins et al., 2017): log p(x|z) - beta KL, with a linear warm-up of beta."""
    # Without a warm-up the weight is 1 from the first step on.
    share = (batch.progress / warm_up).nan_to_num(nan=1.0).clamp(max=1)
    return (batch.log_likelihood - share * beta * batch.kl).mean(-1)


@objective(
    posterior=("diagonal", "full"),
    prior=("standard", "floating"),
    parameters={
        "importance_samples": Parameter(
            5,
            minimum=1,
            maximum=100_000,
            description="K: draws of z for each example, averaged inside the log.",
        )
    },
    samples="importance_samples",
)
def iwae(batch: Batch, importance_samples: int) -> Tensor:
    """The importance weighted bound (Burda et al., 2016): E log 1/K sum_k p(x, z_k) / q(z_k|x).

    With K = 1 it is the evidence lower bound, estimated without the closed form of the KL.
    """
    weights = batch.log_likelihood + batch.log_prior - batch.log_posterior
    return (weights.logsumexp(1) - math.log(importance_samples)).mean(-1)


@objective(
    posterior="diagonal",
    prior="standard",
    parameters={"beta": BETA},
)
def beta_tcvae(batch: Batch, beta: Tensor) -> Tensor:
    """The beta-TCVAE (Chen et al., 2018): the total correlation of q(z) has the weight beta.

    KL = index-code mutual information + total correlation + dimension-wise KL, each estimated with
    one z of each example. log q(z) is estimated by minibatch-weighted sampling: the sum over the
    batch of q(z|x_j), divided by N times the size of the batch, where N is the number of training
    images.
    """
    mean, std = batch.posterior.mean, batch.posterior.std
    # Of each z (dimension 1) under the posterior of each example (dimension 2).
    deviation = (batch.z.unsqueeze(2) - mean.unsqueeze(1)) / std.unsqueeze(1)
    densities = -0.5 * (math.log(2 * math.pi) + deviation.square()) - std.log().unsqueeze(1)
    log_size = math.log(batch.data_size * mean.shape[1])
    log_aggregated = densities.sum(-1).logsumexp(2) - log_size
    log_product = (densities.logsumexp(2) - log_size).sum(-1)
    mutual_information = batch.log_posterior - log_aggregated
    total_correlation = log_aggregated - log_product
    dimension_wise = log_product - batch.log_prior
    loss = mutual_information + beta * total_correlation + dimension_wise
    return (batch.log_likelihood - loss).mean(-1)


@objective(
    posterior=("diagonal", "full"),
    prior="standard",
    parameters={
        "mmd_weight": Parameter(
            1000.0, minimum=0, description="lambda: the weight of the MMD of q(z) from p(z)."
        )
    },
)
def info_vae(batch: Batch, mmd_weight: Tensor) -> Tensor:
    """The InfoVAE of Zhao et al. (2019) with alpha = 1: log p(x|z) - lambda MMD^2(q(z), p(z)).

    The kernel is exp(-|a - b|^2 / (2 n)) in n latent dimensions. The draws of p(z) are noise of the
    run's own stream. MMD^2 is the unbiased estimate from one z of each example.
    """
    prior = batch.noise("mmd", *batch.z.shape[1:])
    count, latent = prior.shape[-2:]

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        distances = (a.unsqueeze(2) - b.unsqueeze(1)).square().sum(-1)
        return (-distances / (2 * latent)).exp().sum((1, 2))

    pairs = count * (count - 1)
    within = (kernel(batch.z, batch.z) + kernel(prior, prior) - 2 * count) / pairs
    across = kernel(batch.z, prior) / count**2
    mmd = within - 2 * across
    return batch.log_likelihood.mean(-1) - mmd_weight.squeeze(-1) * mmd
