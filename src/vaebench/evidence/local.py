"""The likelihood about a code: its gradient g and its information J'WJ by z.

With the decoder's outputs o(z) and their Jacobian J,

- Bernoulli, o the logits, p = sigmoid(o): g = J'(x - p), W = diag(p (1 - p));
- Gaussian, o the mean, T a number or one of each pixel: g = J' T^-1 (x - o), W = T^-1.

A = S^-2 + J'WJ is the matrix of Eqs. 10, 12, 18 and 20 to 25. The paper has W = I. Results are
float64; networks are computed in the precision of the density.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.core.prior import FullPrior
from vaebench.core.vae import blocks
from vaebench.errors import UserError
from vaebench.evidence.decoder import DenseDecoder, dense_decoder
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians

ROWS_AT_ONCE = 4096
"""Codes that are decoded at once where no Jacobian is made."""


@dataclass(frozen=True)
class Model:
    """A run whose likelihood has g and W in closed form."""

    density: Density
    decoder: DenseDecoder
    variance: Tensor | None
    """T, of shape [] or [pixel]. None for the Bernoulli likelihood."""
    precision: Tensor
    """S^-2, float64 of shape [latent, latent]."""
    log_det_prior: float
    """log det S^2."""

    def residual(self, x: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
        """What J' is applied to in g, and the diagonal of W; shape [..., pixel] or of T."""
        if self.variance is None:
            mean = output.sigmoid()
            return x - mean, mean * (1 - mean)
        return (x - output) / self.variance, 1 / self.variance

    def mean(self, output: Tensor) -> Tensor:
        """The mean of p(x|z)."""
        return output.sigmoid() if self.variance is None else output

    def mean_jacobian(self, output: Tensor, jacobian: Tensor) -> Tensor:
        """The Jacobian of the mean, from that of the outputs; transposed as that is."""
        if self.variance is not None:
            return jacobian
        mean = output.sigmoid()
        return jacobian * (mean * (1 - mean)).unsqueeze(-2)


def model_of(density: Density) -> Model:
    """Prepare a run.

    Raises:
        UserError: its network is not of dense layers, or its likelihood has other terms in its
            Hessian.
    """
    decoder, likelihood = dense_decoder(density), density.vae.likelihood
    if density.kind == "bernoulli":
        variance = None
    else:
        if density.kind != "gaussian" or likelihood.std in ("pixel", "coordinate"):
            raise UserError(
                f"likelihood '{likelihood.name}': g and J'WJ are known for Bernoulli likelihoods "
                "and for Gaussians whose T does not depend on z"
            )
        origin = torch.zeros(1, density.latent_dim, dtype=density.dtype, device=density.device)
        variance = density.mean_and_std(density.decode(origin))[1].square().detach().reshape(())
    prior = density.prior
    if isinstance(prior, FullPrior):
        precision = torch.cholesky_inverse(prior.cholesky[0].double())
    else:
        precision = torch.diag_embed(1 / prior.variance[0, 0].double())
    log_det = 2 * float(prior.log_det()[0])
    return Model(density, decoder, variance, precision.to(density.device), log_det)


@torch.no_grad()
def log_likelihood(model: Model, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z) in nats, float64 of shape [..., N], for z of shape [..., N, latent]."""
    flat = z.reshape(-1, *z.shape[-2:])
    at_once = max(1, ROWS_AT_ONCE // max(1, len(x)))
    found = [model.density.log_likelihood(x, part).double() for part in flat.split(at_once)]
    return torch.cat(found).reshape(z.shape[:-1])


@torch.no_grad()
def gradient(model: Model, x: Tensor, z: Tensor) -> Tensor:
    """g = grad_z log p(x|z), float64 of the shape of z, [..., N, latent]."""
    flat = z.reshape(-1, *z.shape[-2:])
    at_once = max(1, ROWS_AT_ONCE // max(1, len(x)))
    found = []
    for part in flat.split(at_once):
        weighted, _ = model.residual(x, model.decoder.outputs(part))
        found.append(model.decoder.pull_back(part, weighted).double())
    return torch.cat(found).reshape(z.shape)


@torch.no_grad()
def information(model: Model, z: Tensor) -> Tensor:
    """J'WJ at codes z of shape [N, latent], float64 of shape [N, latent, latent].

    It does not depend on x, for the two likelihoods here.
    """
    parts = []
    for block in blocks(len(z), model.decoder.at_once):
        output, jacobian = model.decoder.with_jacobian(z[block])
        # W needs no x.
        _, weight = model.residual(output, output)
        # In float64, so that the product of single precision factors has no negative eigenvalue.
        scaled = (jacobian * weight.sqrt().expand_as(output).unsqueeze(-2)).double()
        parts.append(scaled @ scaled.mT)
    return torch.cat(parts)


def curvature(model: Model, z: Tensor) -> Tensor:
    """A = S^-2 + J'WJ at codes z, float64 of shape [N, latent, latent]."""
    return model.precision + information(model, z)


def averaged_curvature(model: Model, posteriors: Gaussians, noise: Tensor) -> Tensor:
    """A = S^-2 + E_q J'WJ, float64 of shape [N, latent, latent].

    Args:
        model: the run.
        posteriors: q(z|x) of N images.
        noise: standard normal, shape [draw, N, latent].
    """
    total = sum((information(model, posteriors.z(e)) for e in noise), torch.zeros(()).to(noise))
    return model.precision + total.double() / len(noise)
