"""Eqs. 16 and 26: the evidence from the Jacobian of the decoder at one code.

With zeta = S^-1 z, the paper's Eq. 26

    log p(x) = log p(x|z) - 1/2 (|S^-1 z|^2 + log det(J S^2 J' + T) - log det T)

has the determinant of Sylvester's identity: log det(I + S J'T^-1 J S) = log det A + log det S^2. It
is the Gauss-Newton Laplace approximation. It is exact for a linear decoder where z is the maximum
of p(z|x), and elsewhere neither exact nor a bound.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vaebench.evidence.gaussians import log_det
from vaebench.evidence.local import Model, curvature, gradient, log_likelihood

STEPS = 30
DAMPING = 1e-2
"""Of the first step, as a share of the diagonal of A."""


def evidence_at(model: Model, x: Tensor, z: Tensor, a: Tensor | None = None) -> Tensor:
    """Eq. 16 (Eq. 26 with T) at codes z, in nats, float64 of shape [N].

    Args:
        model: the run.
        x: scaled data, shape [N, pixel].
        z: shape [N, latent].
        a: A at z, if it is known.
    """
    a = curvature(model, z) if a is None else a
    return log_likelihood(model, x, z) - 0.5 * (
        squared_norm(model, z) + log_det(a) + model.log_det_prior
    )


def squared_norm(model: Model, z: Tensor) -> Tensor:
    """|S^-1 z|^2, float64 of shape [..., N]."""
    at = z.double()
    return ((at @ model.precision) * at).sum(-1)


@torch.no_grad()
def most_probable(model: Model, x: Tensor, start: Tensor, steps: int = STEPS) -> Tensor:
    """The code of each image at which p(x, z) has its maximum, by damped Gauss-Newton steps.

    Only steps that raise p(x, z) are taken, so the result is never worse than the start. It may be
    another maximum than the highest.

    Args:
        model: the run.
        x: scaled data, shape [N, pixel].
        start: shape [N, latent].
        steps: the number of steps that are tried.
    """

    def joint(at: Tensor) -> Tensor:
        return log_likelihood(model, x, at) - 0.5 * squared_norm(model, at)

    z, damping = start.clone(), torch.full((len(x), 1), DAMPING).to(start).double()
    value = joint(z)
    for _ in range(steps):
        a = curvature(model, z)
        force = gradient(model, x, z) - z.double() @ model.precision
        damped = a + torch.diag_embed(damping * a.diagonal(dim1=-2, dim2=-1))
        step = torch.cholesky_solve(force.unsqueeze(-1), torch.linalg.cholesky(damped)).squeeze(-1)
        there = (z.double() + step).to(z)
        found = joint(there)
        better = found > value
        z = torch.where(better[:, None], there, z)
        value = torch.where(better, found, value)
        damping = torch.where(better[:, None], damping / 4, damping * 8).clamp(1e-12, 1e12)
    return z
