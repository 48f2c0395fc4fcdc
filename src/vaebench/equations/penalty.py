"""Eqs. 21 and 22: what one Sigma for all images costs, on one decoder and the same means mu.

Predicted from A = S^-2 + E_q J'WJ, and measured as a difference of bounds with the same noise e in
z = mu + L e.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.equations import gap as gaps
from vaebench.evidence.gaussians import Gaussians, antithetic
from vaebench.evidence.grid import exact_elbo
from vaebench.evidence.local import Model, log_likelihood
from vaebench.numerics.streams import generator as stream

PAIRS = 16
LEAST_NATS = 0.01
"""A prediction that is off by less is not wrong: one Sigma may even be better than A^-1."""


@dataclass(frozen=True)
class Penalty:
    """The cost of a constant Sigma for one family, in nats per image."""

    measured: float
    error: float
    """The standard error of the mean over images."""
    predicted: float
    """1/2 (log det E A - E log det A)."""
    second_order: float
    """Eq. 22."""

    def misfit(self, predicted: float) -> float:
        """How far a prediction is off. It holds if this is below 1.

        |predicted - measured| over two standard errors, a quarter of what is measured, or 0.01
        nats, whichever is largest.
        """
        allowed = max(2 * self.error, 0.25 * abs(self.measured), LEAST_NATS)
        return abs(predicted - self.measured) / allowed


def constant_sigma(
    model: Model, x: Tensor, mean: Tensor, a: Tensor, seed: int, name: str, full: bool
) -> Penalty:
    """Compare Sigma_i = A_i^-1 with the constant (E A)^-1.

    Args:
        model: the run.
        x: scaled data of N images.
        mean: mu of these, shape [N, latent].
        a: A of these, float64 of shape [N, latent, latent].
        seed: of the noise.
        name: names its stream.
        full: whether Sigma is full. If not, the diagonal of A takes the place of A.
    """
    a = (a if full else gaps.only_diagonal(a)).to(x.device)
    own = gaps.factor_of_inverse(a)
    common = gaps.factor_of_inverse(a.mean(0)).expand_as(own)
    noise = antithetic(PAIRS, mean, stream(seed, "samples", f"penalty {name}", x.device))
    best, forced = (
        bounds(model, x, Gaussians(mean, factor.to(mean)), noise) for factor in (own, common)
    )
    difference = best - forced
    return Penalty(
        float(difference.mean()),
        float(difference.std() / len(x) ** 0.5),
        gaps.constant_penalty(a),
        gaps.second_order_penalty(a),
    )


def insensitivity(model: Model, x: Tensor, posteriors: Gaussians, seed: int, name: str) -> float:
    """The mean loss of the bound when all variances are doubled and when they are halved.

    It is a share of the size of the bound. Eq. 21 says that it is of second order.
    """
    noise = antithetic(PAIRS, posteriors.mean, stream(seed, "samples", name, x.device))
    own = bounds(model, x, posteriors, noise)
    scaled = [
        bounds(model, x, Gaussians(posteriors.mean, factor * posteriors.factor), noise)
        for factor in (2**0.5, 0.5**0.5)
    ]
    lost = own.mean() - sum((one.mean() for one in scaled), torch.zeros(()).to(own)) / 2
    return float(lost / own.mean().abs())


@torch.no_grad()
def bounds(model: Model, x: Tensor, posteriors: Gaussians, noise: Tensor) -> Tensor:
    """The evidence lower bound of each image, float64 of shape [N].

    By quadrature for one or two latent dimensions, else with the noise given.
    """
    if model.density.latent_dim <= 2:
        return exact_elbo(model.density, x, posteriors).to(x.device)
    expected = log_likelihood(model, x, posteriors.z(noise)).mean(0)
    return expected - posteriors.kl(model.density.prior)
