"""Eqs. 12, 18 to 22 and 25 as functions of matrices A and Sigma, without any network.

A = S^-2 + J'WJ, float64 of shape [..., latent, latent]. Results are in nats, of shape [...].
"""

import math

import torch
from torch import Tensor

from vaebench.evidence.gaussians import log_det

ITERATIONS = 200


def predicted_gap(a: Tensor, factor: Tensor) -> Tensor:
    """Eqs. 18 and 25: 1/2 (tr A Sigma - n - log det A - log det Sigma), which is >= 0.

    Args:
        a: A.
        factor: L with Sigma = L L', lower triangular.
    """
    inner = factor.mT @ a @ factor
    trace = inner.diagonal(dim1=-2, dim2=-1).sum(-1)
    return 0.5 * (trace - a.shape[-1] - log_det(inner))


def scaled_diagonal(a: Tensor, factor: Tensor) -> Tensor:
    """diag(L' A L), which is Sigma_jj A_jj for a diagonal Sigma: 1 by Eq. 12. Shape [..., n]."""
    return (factor.mT @ a @ factor).diagonal(dim1=-2, dim2=-1)


def diagonal_loss(a: Tensor) -> Tensor:
    """1/2 (sum log A_jj - log det A): what the best diagonal Sigma loses, by Eq. 25."""
    return 0.5 * (a.diagonal(dim1=-2, dim2=-1).log().sum(-1) - log_det(a))


def only_diagonal(a: Tensor) -> Tensor:
    """The same matrices without their other entries."""
    return torch.diag_embed(a.diagonal(dim1=-2, dim2=-1))


def constant_penalty(a: Tensor) -> float:
    """1/2 (log det E A - E log det A): Eq. 22 before its expansion, for A [N, n, n] of images."""
    return 0.5 * float(log_det(a.mean(0)) - log_det(a).mean())


def second_order_penalty(a: Tensor) -> float:
    """Eq. 22: 1/4 tr E[(Abar^-1 A - I)^2], with Abar = E A. The square is that of the matrix."""
    relative = torch.linalg.solve(a.mean(0), a) - torch.eye(a.shape[-1]).to(a)
    # tr R^2 is the sum of R times its transpose.
    return 0.25 * float((relative * relative.mT).sum((-2, -1)).mean())


def factor_of_inverse(a: Tensor) -> Tensor:
    """L with L L' = A^-1, lower triangular."""
    factor: Tensor = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(a)))
    return factor


def minimum_over_sigma(a: Tensor) -> float:
    """Eq. 19: the minimum over Sigma > 0 of tr A Sigma - log det(e Sigma), by natural gradients.

    The step Sigma - Sigma (A - Sigma^-1) Sigma uses products with A only, so that estimates of
    v'Av for v ~ N(0, Sigma) could stand in for it.

    Args:
        a: one symmetric matrix, shape [latent, latent].

    Returns:
        The value; -inf if there is no minimum, as for a matrix that is not positive definite.
    """
    n = a.shape[-1]
    sigma = torch.eye(n).to(a) / torch.linalg.matrix_norm(a, 2)
    value = math.inf
    for _ in range(ITERATIONS):
        found = float(torch.trace(a @ sigma) - log_det(sigma)) - n
        if not found > -1 / torch.finfo(a.dtype).eps:
            return -math.inf
        if found >= value - 1e-13 * max(1.0, abs(found)):
            # At a stationary point A Sigma = I. Elsewhere the descent has no end.
            stationary = torch.dist(a @ sigma, torch.eye(n).to(a)) < 1e-5
            return found if stationary else -math.inf
        value = found
        sigma = 2 * sigma - sigma @ a @ sigma
        sigma = (sigma + sigma.mT) / 2
    return -math.inf
