"""Eqs. 9 to 12, 16 to 18 and 25 on images with a Gaussian q(z|x): the encoder's, or another.

Each statistic is a number of an image, float64 of shape [N] on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.equations import gap as gaps
from vaebench.evidence.gaussians import Gaussians, antithetic
from vaebench.evidence.grid import exact_elbo
from vaebench.evidence.laplace import evidence_at, most_probable, squared_norm
from vaebench.evidence.local import (
    Model,
    averaged_curvature,
    curvature,
    gradient,
    log_likelihood,
)
from vaebench.numerics.streams import generator as stream

PAIRS = 16
"""Antithetic pairs of draws for the averaged A."""
STEIN_PAIRS = 128
"""For Stein's identity and for bounds without quadrature, whose noise for one image is larger."""


@dataclass(frozen=True)
class PerImage:
    """Statistics of N images. Those of dimensions have the shape [N, latent]."""

    elbo: Tensor
    """The evidence lower bound in nats."""
    gap: Tensor
    """log p(x) - elbo = KL(q(z|x) | p(z|x))."""
    gradient: Tensor
    """|L'r| with r = g - S^-2 mu at mu: the gradient of Eq. 9 by mu, in standard deviations of q.
    It is the number of nats that a step of one of them gains."""
    gradient_averaged: Tensor
    """The same with E_q g, which is the gradient of the bound itself."""
    relative: Tensor
    """|r| / |S^-2 mu|, Eq. 11."""
    ratio_point: Tensor
    """diag(L'AL) with A at mu: Sigma_jj A_jj of Eq. 12 for a diagonal Sigma."""
    ratio_averaged: Tensor
    """With S^-2 + E_q J'WJ."""
    ratio_exact: Tensor
    """diag(L'S^-2 L)_j - E_q[e_j (L'g)_j], which by Stein's identity has all of the Hessian."""
    laplace_at_mean: Tensor
    """Eq. 16 at mu minus log p(x)."""
    laplace_at_mode: Tensor
    """Eq. 16 at the maximum of p(z|x), searched from mu, minus log p(x)."""
    elbo_17: Tensor
    """The right side of Eq. 17 minus the bound."""
    gap_point: Tensor
    """The right side of Eq. 18, with A at mu."""
    gap_averaged: Tensor
    """The same with the averaged A."""
    diagonal_loss: Tensor
    """1/2 (sum log A_jj - log det A), averaged A."""
    curvature: Tensor
    """The averaged A, float64 of shape [N, latent, latent]; on the device of x."""


@torch.no_grad()
def per_image(
    model: Model, x: Tensor, posteriors: Gaussians, log_p: Tensor, seed: int, name: str
) -> PerImage:
    """Measure images.

    Args:
        model: the run.
        x: scaled data, shape [N, pixel].
        posteriors: a q(z|x) of these images.
        log_p: log p(x), float64 of shape [N].
        seed: of the random numbers.
        name: names the random stream.
    """
    mu, log_p = posteriors.mean, log_p.to(x.device)
    factor = posteriors.cholesky.double()
    random = stream(seed, "samples", f"equations {name}", x.device)
    noise = antithetic(PAIRS, mu, random)
    many = antithetic(STEIN_PAIRS, mu, random)
    point = curvature(model, mu)
    averaged = averaged_curvature(model, posteriors, noise)
    own = mu.double() @ model.precision

    def in_deviations(vectors: Tensor) -> Tensor:
        return (factor.mT @ vectors.unsqueeze(-1)).squeeze(-1)

    values, forces = [], []
    for part in many.split(16):
        z = posteriors.z(part)
        values.append(log_likelihood(model, x, z))
        forces.append(gradient(model, x, z))
    force = torch.cat(forces)
    if model.density.latent_dim <= 2:
        elbo = exact_elbo(model.density, x, posteriors).to(x.device)
    else:
        elbo = torch.cat(values).mean(0) - posteriors.kl(model.density.prior)
    at_mean, at = gradient(model, x, mu) - own, force.mean(0) - own
    stein = (many.double() * in_deviations(force)).mean(0)
    prior_part = gaps.scaled_diagonal(model.precision, factor)
    trace = gaps.scaled_diagonal(point, factor).sum(-1)
    log_det_sigma = 2 * posteriors.log_det().double()
    right_17 = log_likelihood(model, x, mu) - 0.5 * (
        squared_norm(model, mu) + trace - mu.shape[-1] - log_det_sigma + model.log_det_prior
    )
    found = PerImage(
        elbo=elbo,
        gap=log_p - elbo,
        gradient=in_deviations(at_mean).norm(dim=-1),
        gradient_averaged=in_deviations(at).norm(dim=-1),
        relative=at_mean.norm(dim=-1) / own.norm(dim=-1),
        ratio_point=gaps.scaled_diagonal(point, factor),
        ratio_averaged=gaps.scaled_diagonal(averaged, factor),
        ratio_exact=prior_part - stein,
        laplace_at_mean=evidence_at(model, x, mu, point) - log_p,
        laplace_at_mode=evidence_at(model, x, most_probable(model, x, mu)) - log_p,
        elbo_17=right_17 - elbo,
        gap_point=gaps.predicted_gap(point, factor),
        gap_averaged=gaps.predicted_gap(averaged, factor),
        diagonal_loss=gaps.diagonal_loss(averaged),
        curvature=averaged,
    )
    return PerImage(**{name: value.cpu() for name, value in vars(found).items()})
