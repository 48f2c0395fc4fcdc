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

from vaebench.core.log_likelihood import (
    batch_log_likelihood,
    information,
    isotropic_log_likelihood,
    squared_residual,
)
from vaebench.core.network import Parameters
from vaebench.core.vae import VAE, blocks, to_pixels
from vaebench.numerics.streams import normal
from vaebench.objectives import Objective, Posterior

ACTIVE_NATS = 0.01
"""A latent dimension is active if its mean KL divergence exceeds this. The criterion does not
depend on the scale of the codes."""


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a pack on a set of N images."""

    posterior: Posterior
    """Mean [run, N, latent]; std [run, N, latent] or [run, 1, 1]. It is on the pack's device."""
    prior_variance: Tensor
    """S^2 on this set, float64 of shape [run, 1, latent]."""
    kl: Tensor
    """Mean KL divergence of each latent dimension, float64 of shape [run, latent]."""
    log_likelihood: Tensor
    """log p(x|z), float64 of shape [run, N]. If T is computed from a batch, this set is the batch.
    """
    squared_residual: Tensor
    """|x - nu(z)|^2 in units of the scaled data, float64 of shape [run, N]."""
    objective: Tensor
    """The trained objective with this set as its batch, float64 of shape [run]."""

    @property
    def rate(self) -> Tensor:
        """The mean KL divergence of q(z|x) from the prior, in nats, shape [run]."""
        return self.kl.sum(-1)

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
        """u of Eq. 28, the mean of tr Sigma^-1 S^2 over the set, shape [run]."""
        traces = [
            (prior_variance / one.std.square()).expand_as(one.mean).sum(-1).mean(-1)
            for one, prior_variance in zip(
                each_run(self.posterior),
                self.prior_variance[:, None].to(self.posterior.mean.device),
                strict=True,
            )
        ]
        return torch.cat(traces).cpu()

    def elbo_with_prior(self, prior_variance: Tensor) -> Tensor:
        """The bound with the prior variance S^2 of another set, in nats, shape [run].

        Args:
            prior_variance: S^2, float64 of shape [run, 1, latent].
        """
        return -mean_kl(self.posterior, prior_variance).sum(-1) - self.distortion

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
    vae: VAE, parameters: Parameters, images: Tensor, which: Literal["train", "test"]
) -> Evaluation:
    """Evaluate a pack on a whole set of images.

    Args:
        vae: the pack's model.
        parameters: trained, stacked.
        images: levels 0..255, uint8 of shape [N, pixel].
        which: which set it is. It names the random stream that z is drawn from.
    """
    network, likelihood = vae.network, vae.likelihood
    noise = normal(vae.seeds, "evaluation", which, (len(images), network.latent_dim), images.device)
    means, stds, log_likelihoods, residuals = [], [], [], []
    for block in blocks(len(images), network.images_at_once):
        x = network.scale(to_pixels(images[block]).expand(len(vae.seeds), -1, -1))
        posterior, decoded = vae.forward(parameters, x, noise[:, block])
        if likelihood.log_likelihood is not None:
            log_likelihoods.append(likelihood.log_likelihood(x, decoded))
        residuals.append(squared_residual(likelihood, x, decoded))
        means.append(posterior.mean)
        stds.append(posterior.std)
    std = torch.cat(stds, 1) if network.learns_std else stds[0]
    whole = Posterior(torch.cat(means, 1), std)
    if images.device.type == "mps":  # This kind of device has no float64.
        whole = Posterior(whole.mean.cpu(), whole.std.cpu())
    squared = torch.cat(residuals, 1).cpu().double()
    if log_likelihoods:
        log_likelihood = torch.cat(log_likelihoods, 1).cpu().double()
    else:
        log_likelihood = _set_log_likelihood(vae, whole, squared)
    prior_variance = prior(vae.objective, whole)
    return Evaluation(
        posterior=whole,
        prior_variance=prior_variance,
        kl=mean_kl(whole, prior_variance),
        log_likelihood=log_likelihood,
        squared_residual=squared,
        objective=torch.cat(
            [
                vae.objective.bound(one, values[None].to(one.mean.device))
                for one, values in zip(each_run(whole), log_likelihood, strict=True)
            ]
        ).cpu(),
    )


def _set_log_likelihood(vae: VAE, posterior: Posterior, squared: Tensor) -> Tensor:
    """log p(x|z) where T is computed from a batch. The batch is the whole set.

    Args:
        vae: the pack's model.
        posterior: q(z|x) of the set.
        squared: |x - nu(z)|^2, float64 of shape [run, N].

    Returns:
        log p(x|z) in nats, float64 of shape [run, N].
    """
    tau = None if vae.network.tau is None else vae.network.tau.cpu().double()
    traces = [information(one) for one in each_run(posterior)]
    known = [trace.cpu() for trace in traces if trace is not None]
    u = torch.cat(known) if len(known) == len(traces) else None
    return batch_log_likelihood(vae.likelihood, squared, vae.network.pixels, u, tau)


def each_run(posterior: Posterior) -> Iterator[Posterior]:
    """The posterior of each run in turn, in float64, shape [1, N, latent].

    Runs are converted one by one, since the codes of a large pack in float64 would take gigabytes.
    """
    for mean, std in zip(posterior.mean, posterior.std, strict=True):
        yield Posterior(mean[None].double(), std[None].double())


def prior(objective: Objective, posterior: Posterior) -> Tensor:
    """The prior variance S^2 of an objective, float64 of shape [run, 1, latent].

    It is 1 for the standard prior, and E[Sigma + diag(mu)^2] of Eq. 4 for the floating one.
    """
    if objective.prior == "standard":
        return torch.ones(posterior.mean[:, :1].shape, dtype=torch.float64)
    return fitted_prior(posterior)


def fitted_prior(posterior: Posterior) -> Tensor:
    """The prior variance E[Sigma + diag(mu)^2] of Eq. 4, float64 of shape [run, 1, latent]."""
    return torch.cat(
        [
            (one.std.square() + one.mean.square()).mean(1, keepdim=True)
            for one in each_run(posterior)
        ]
    ).cpu()


def mean_kl(posterior: Posterior, prior_variance: Tensor) -> Tensor:
    """The mean over examples of KL(q(z|x) | N(0, S^2)), for each latent dimension.

    Args:
        posterior: q(z|x) of N examples.
        prior_variance: S^2, float64 of shape [run, 1, latent].

    Returns:
        The divergences in nats, float64 of shape [run, latent].
    """
    divergences = []
    on_device = prior_variance.to(posterior.mean.device)
    for one, prior_square in zip(each_run(posterior), on_device, strict=True):
        ratio = one.std.square() / prior_square
        kl = 0.5 * (ratio - 1 - ratio.log() + one.mean.square() / prior_square)
        divergences.append(kl.mean(1))
    return torch.cat(divergences).cpu()
