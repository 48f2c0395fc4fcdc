"""The evidence lower bound of a trained pack on a whole set of images.

elbo = -rate - distortion, in nats per example. The rate is the mean KL divergence of q(z|x) from
the prior, in closed form. The distortion is the mean of -log p(x|z), with one sample z of each
image, drawn from a random stream that is used for nothing else. Sums over images and latent
dimensions are taken in float64, on the device if it has float64. The results are on the CPU.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from vaebench.core.batch import Batch, Clock
from vaebench.core.log_likelihood import (
    batch_log_likelihood,
    information,
    isotropic_log_likelihood,
    pixel_log_likelihood,
    squared_residual,
)
from vaebench.core.network import Parameters
from vaebench.core.posterior import DiagonalPosterior, Posterior, joined
from vaebench.core.prior import DiagonalPrior, Prior, cholesky, full_prior, kl_by_dimension
from vaebench.core.vae import VAE, blocks, to_pixels
from vaebench.evaluation.objective import objective_in_batches
from vaebench.numerics.streams import normal

ACTIVE_NATS = 0.01
"""A latent dimension is active if its mean KL divergence exceeds this. The criterion does not
depend on the scale of the codes."""


@dataclass(frozen=True)
class Moments:
    """What the mean KL divergence of a set from any prior N(0, S^2) depends on, in float64."""

    second: Tensor
    """E[Sigma + mean mean'], shape [run, latent, latent]."""
    log_det: Tensor
    """E[1/2 log det Sigma], shape [run]."""

    def mean_kl(self, prior: Prior) -> Tensor:
        """E KL(q(z|x) | p(z)) in nats, shape [run]."""
        # tr S^-2 (Sigma + mean mean') is the sum of the norms of the columns of a factor.
        trace = prior.squared_norm(cholesky(self.second).mT).sum(-1)
        return 0.5 * (trace - self.second.shape[-1]) + prior.log_det()[:, 0] - self.log_det


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a pack on a set of N images."""

    posterior: DiagonalPosterior
    """The marginals of q(z|x). Mean [run, N, latent]; std [run, N, latent], or [run, 1, ...] if
    Sigma does not depend on x. It is on the pack's device."""
    moments: Moments | None
    """None if posterior and prior are diagonal."""
    prior: Prior
    """p(z) on this set, in float64."""
    kl: Tensor
    """Mean KL divergence of each latent dimension, float64 of shape [run, latent]. It is that of
    the marginals if posterior or prior is not diagonal."""
    log_likelihood: Tensor
    """log p(x|z), float64 of shape [run, N]. If T is computed from a batch, this set is the batch.
    """
    squared_residual: Tensor
    """|x - nu(z)|^2 in units of the scaled data, float64 of shape [run, N]."""
    objective: Tensor
    """The trained objective on this set, float64 of shape [run], see `Objective.on_whole_set`."""

    @property
    def prior_variance(self) -> Tensor:
        """The diagonal of S^2 on this set, float64 of shape [run, 1, latent]."""
        return self.prior.variance

    @property
    def rate(self) -> Tensor:
        """The mean KL divergence of q(z|x) from the prior, in nats, shape [run]."""
        return self.kl.sum(-1) if self.moments is None else self.moments.mean_kl(self.prior)

    @property
    def distortion(self) -> Tensor:
        """The mean of -log p(x|z), in nats, shape [run]."""
        return -self.log_likelihood.mean(-1)

    @property
    def elbo(self) -> Tensor:
        """The bound with the prior variance S^2 of this set, in nats, shape [run]."""
        return -self.rate - self.distortion

    @property
    def active_units(self) -> Tensor:
        """The number of active latent dimensions, shape [run]."""
        return (self.kl > ACTIVE_NATS).sum(-1)

    @property
    def information(self) -> Tensor:
        """u of Eq. 28, the mean of tr Sigma^-1 S^2 over the set, shape [run].

        NaN if posterior or prior is not diagonal.
        """
        if self.moments is not None:
            return torch.full_like(self.moments.log_det, torch.nan)
        traces = [
            (prior_variance / one.std.square()).expand_as(one.mean).sum(-1).mean(-1)
            for one, prior_variance in zip(
                each_run(self.posterior),
                self.prior_variance[:, None].to(self.posterior.mean.device),
                strict=True,
            )
        ]
        return torch.cat(traces).cpu()

    def elbo_with_prior(self, prior: Prior) -> Tensor:
        """The bound with the prior of another set, in nats, shape [run]."""
        if self.moments is None:
            return -mean_kl(self.posterior, prior.variance).sum(-1) - self.distortion
        return -self.moments.mean_kl(prior) - self.distortion

    def with_variance(self, variance: Tensor, pixels: int) -> "Evaluation":
        """The same evaluation under the likelihood N(x; nu, T I).

        Args:
            variance: T, float64 of shape [run, 1].
            pixels: the number of data dimensions m.
        """
        log_likelihood = isotropic_log_likelihood(self.squared_residual, variance, pixels)
        return replace(self, log_likelihood=log_likelihood)


@torch.no_grad()
def evaluate(
    vae: VAE,
    parameters: Parameters,
    images: Tensor,
    which: Literal["train", "test", "held-out"],
    data_size: int,
    with_objective: bool = True,
) -> Evaluation:
    """Evaluate a pack on a whole set of images.

    Args:
        vae: the pack's model.
        parameters: trained, stacked.
        images: levels 0..255, uint8 of shape [N, pixel].
        which: which set it is. It names the random stream that z is drawn from.
        data_size: the number of training images.
        with_objective: whether to compute the trained objective, which may take as long as all
            else. Without it, it is NaN.
    """
    network, likelihood = vae.network, vae.likelihood
    noise = normal(vae.seeds, "evaluation", which, (len(images), network.latent_dim), images.device)
    posteriors: list[Posterior] = []
    log_likelihoods, residuals, moments = [], [], _MomentSums(vae)
    for block in blocks(len(images), network.images_at_once):
        x = vae.to_data(to_pixels(images[block]).expand(len(vae.seeds), -1, -1))
        posterior, decoded = vae.forward(parameters, x, noise[:, block])
        target = vae.target(x)
        if likelihood.log_likelihood is not None:
            log_likelihoods.append(
                pixel_log_likelihood(likelihood, target, decoded, vae.likelihood_parameters)
            )
        residuals.append(squared_residual(likelihood, target, decoded))
        moments.add(posterior)
        posteriors.append(posterior.marginal())
    whole = joined(posteriors, vae.varies)
    if images.device.type == "mps":  # This kind of device has no float64.
        whole = whole.changed(Tensor.cpu)
    squared = torch.cat(residuals, 1).cpu().double()
    if log_likelihoods:
        log_likelihood = torch.cat(log_likelihoods, 1).cpu().double()
    else:
        log_likelihood = _set_log_likelihood(vae, whole, squared)
    of_set = moments.mean(len(images))
    prior = set_prior(vae.prior, whole, of_set)

    def objective() -> Tensor:
        if not with_objective:
            return torch.full((len(vae.seeds),), torch.nan, dtype=torch.float64)
        if vae.objective.on_whole_set:
            return _objective_of_set(vae, whole, log_likelihood, data_size)
        return objective_in_batches(vae, parameters, images, which, data_size)

    return Evaluation(
        posterior=whole,
        moments=of_set,
        prior=prior,
        kl=mean_kl(whole, prior.variance),
        log_likelihood=log_likelihood,
        squared_residual=squared,
        objective=objective(),
    )


class _MomentSums:
    """Sums the moments of blocks of a set, if posterior or prior is not diagonal."""

    def __init__(self, vae: VAE) -> None:
        self._needed = vae.prior == "floating-full" or vae.network.family.is_full
        self._second: Tensor | float = 0.0
        self._log_det: Tensor | float = 0.0

    def add(self, posterior: Posterior) -> None:
        if self._needed:
            one = posterior.changed(Tensor.double)
            self._second = self._second + one.second_moments().cpu()
            self._log_det = self._log_det + one.log_det().expand(one.mean.shape[:-1]).sum(-1).cpu()

    def mean(self, count: int) -> Moments | None:
        if isinstance(self._second, Tensor) and isinstance(self._log_det, Tensor):
            return Moments(self._second / count, self._log_det / count)
        return None


def _set_log_likelihood(vae: VAE, posterior: Posterior, squared: Tensor) -> Tensor:
    """log p(x|z) where T is computed from a batch. The batch is the whole set.

    Args:
        vae: the pack's model.
        posterior: q(z|x) of the set.
        squared: |x - nu(z)|^2, float64 of shape [run, N].

    Returns:
        log p(x|z) in nats, float64 of shape [run, N].
    """
    own = {
        name: value.cpu().double() if isinstance(value, Tensor) else value
        for name, value in vae.likelihood_parameters.items()
    }
    traces = [information(one) for one in each_run(posterior)]
    known = [trace.cpu() for trace in traces if trace is not None]
    u = torch.cat(known) if len(known) == len(traces) else None
    return batch_log_likelihood(vae.likelihood, squared, vae.network.predicted, u, own)


def _objective_of_set(
    vae: VAE, posterior: Posterior, log_likelihood: Tensor, data_size: int
) -> Tensor:
    """The objective with the whole set as its batch, float64 of shape [run]."""
    end = Clock(step=1, steps=1, steps_per_epoch=1)
    values = []
    for k, (one, own) in enumerate(zip(each_run(posterior), log_likelihood, strict=True)):
        nothing = one.mean[..., :0]
        batch = Batch(
            *(nothing, one, nothing, own[None].to(one.mean.device), vae.prior, data_size, end)
        )
        parameters = {
            name: value[k : k + 1].to(one.mean) if isinstance(value, Tensor) else value
            for name, value in vae.objective_parameters.items()
        }
        values.append(vae.objective.bound(batch, **parameters))
    return torch.cat(values).cpu()


def each_run(posterior: Posterior) -> Iterator[Posterior]:
    """The posterior of each run in turn, in float64, shape [1, N, latent].

    Runs are converted one by one, since the codes of a large pack in float64 would take gigabytes.
    """
    for k in range(len(posterior.mean)):
        yield posterior.changed(lambda tensor, k=k: tensor[k : k + 1].double())  # type: ignore[misc]


def set_prior(name: str, posterior: Posterior, moments: Moments | None) -> Prior:
    """The prior of a set, in float64, on the CPU.

    S^2 is 1 for the standard prior, and E[Sigma + diag(mu)^2] of Eq. 4 for the floating one.

    Args:
        name: a name in `families.PRIORS`.
        posterior: q(z|x) of the set, or its marginals.
        moments: those of the set, where the prior is not diagonal.
    """
    if name == "standard":
        return DiagonalPrior(torch.ones(posterior.mean[:, :1].shape, dtype=torch.float64))
    if name == "floating-full" and moments is not None:
        return full_prior(moments.second)
    return DiagonalPrior(fitted_prior(posterior))


def fitted_prior(posterior: Posterior) -> Tensor:
    """The prior variance E[Sigma + diag(mu)^2] of Eq. 4, float64 of shape [run, 1, latent]."""
    return torch.cat([one.second_moment() for one in each_run(posterior)]).cpu()


def mean_kl(posterior: DiagonalPosterior, prior_variance: Tensor) -> Tensor:
    """The mean over examples of KL(q(z|x) | N(0, S^2)), for each latent dimension.

    Args:
        posterior: q(z|x) of N examples.
        prior_variance: a diagonal S^2, float64 of shape [run, 1, latent].

    Returns:
        The divergences in nats, float64 of shape [run, latent].
    """
    on_device = prior_variance.to(posterior.mean.device)
    divergences = [
        kl_by_dimension(one.marginal(), prior_square).mean(1)
        for one, prior_square in zip(each_run(posterior), on_device, strict=True)
    ]
    return torch.cat(divergences).cpu()
