"""Likelihoods whose variance is learned or follows from the batch, against formulas in float64."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Independent, Normal

from tests.packs import bound_of
from vaebench.core.log_likelihood import (
    information,
    isotropic_log_likelihood,
    training_log_likelihood,
)
from vaebench.core.posterior import DiagonalPosterior
from vaebench.likelihoods import LIKELIHOODS, Decoded

M = 12
sigmas = st.sampled_from([0.1, 1.0, 3.0])
taus = st.sampled_from([0.05, 0.2, 1.0, 2.0])


class Batch:
    """Data, decoder means and posterior means of two runs, in float64."""

    def __init__(self, seed: int, latent: int = 3, size: int = 5) -> None:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, dtype=torch.float64, generator=generator)

        self.x, self.nu, self.mu = normal(2, size, M), normal(2, size, M), normal(2, size, latent)

    def bound(
        self, likelihood: str, sigma: float, tau: float | None, objective: str = "bilbo"
    ) -> Tensor:
        posterior = DiagonalPosterior(self.mu, torch.full((2, 1, 1), sigma, dtype=torch.float64))
        own = {} if tau is None else {"tau": torch.full((2, 1), tau, dtype=torch.float64)}
        log_likelihood = training_log_likelihood(
            LIKELIHOODS[likelihood], self.x, Decoded(self.nu, None), posterior, own
        )
        return bound_of(objective, posterior.mean, posterior.std, log_likelihood)


def eq_30(x: Tensor, nu: Tensor, mu: Tensor, sigma: float, tau: float) -> float:
    """Eq. 30 for one run by matrices and loops, Sigma and M_B as full n x n matrices."""
    size, n = mu.shape
    moment = torch.diag(torch.stack([(mu[:, j] ** 2).sum() / size for j in range(n)]))
    matrix = torch.eye(n, dtype=torch.float64) + moment / sigma**2
    trace = torch.trace(matrix)
    total = 0.0
    for i in range(size):
        t = tau * float((x[i] - nu[i]) @ (x[i] - nu[i])) / float(trace)
        total += float(torch.logdet(2 * math.pi * t * torch.eye(M, dtype=torch.float64)))
    return -0.5 * (float(torch.logdet(matrix)) + float(trace) / tau + total / size)


@given(sigmas, taus, st.integers(0, 99))
def test_baggins_with_bilbo_is_eq_30(sigma: float, tau: float, seed: int) -> None:
    batch = Batch(seed)
    for objective in ("bilbo", "constant"):
        found = batch.bound("baggins", sigma, tau, objective)
        for k in range(2):
            expected = eq_30(batch.x[k], batch.nu[k], batch.mu[k], sigma, tau)
            assert found[k].item() == pytest.approx(expected, rel=1e-12)


@given(sigmas, taus, st.integers(0, 99))
def test_baggins_is_eq_24_with_the_variance_of_eq_29(sigma: float, tau: float, seed: int) -> None:
    batch = Batch(seed)
    u = (1 + (batch.mu**2).mean(1) / sigma**2).sum(-1)
    variance = tau * (batch.x - batch.nu).square().sum(-1) / u[:, None]
    std = variance.sqrt()[..., None].expand_as(batch.x)
    log_likelihood = Independent(Normal(batch.nu, std), 1).log_prob(batch.x)
    posterior = DiagonalPosterior(batch.mu, torch.full((2, 1, 1), sigma, dtype=torch.float64))
    expected = bound_of("bilbo", posterior.mean, posterior.std, log_likelihood)
    torch.testing.assert_close(batch.bound("baggins", sigma, tau), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("n", "m", "tau"), [(2, 784, 0.2), (2, 784, 1.0), (100, 784, 0.2),
                                             (100, 784, 1.0), (100, 784, 0.1)])  # fmt: skip
def test_the_optimal_information_is_the_budget(n: int, m: int, tau: float) -> None:
    """At fixed residual and one M for all dimensions: u* = max(n, tau (m - n))."""
    squared = torch.full((1, 1), 40.0, dtype=torch.float64)

    def bound(moment: Tensor) -> Tensor:
        u = (n * (1 + moment)).view(1, 1)
        log_likelihood = isotropic_log_likelihood(squared, tau * squared / u, m)
        return log_likelihood.mean() - 0.5 * n * torch.log1p(moment)

    moments = torch.logspace(-6, 4, 200_001, dtype=torch.float64)
    values = torch.func.vmap(bound)(moments)
    best = n * (1 + moments[values.argmax()].item())
    assert best == pytest.approx(max(n, tau * (m - n)), rel=1e-3)


@given(sigmas, taus, st.sampled_from([0.01, 0.3, 10.0, 100.0]), st.integers(0, 99))
def test_baggins_differs_by_m_log_lambda_on_scaled_data(
    sigma: float, tau: float, scale: float, seed: int
) -> None:
    batch, scaled = Batch(seed), Batch(seed)
    scaled.x, scaled.nu = scale * batch.x, scale * batch.nu
    torch.testing.assert_close(
        scaled.bound("baggins", sigma, tau) + M * math.log(scale),
        batch.bound("baggins", sigma, tau),
    )


def gradients(likelihood: str, tau: float) -> tuple[Tensor, Tensor]:
    """The bound's gradients by the decoder's means and the posterior's."""
    batch = Batch(0)
    batch.nu.requires_grad_()
    batch.mu.requires_grad_()
    bound = batch.bound(likelihood, 1.0, tau)
    by_nu, by_mu = torch.autograd.grad(bound.sum(), [batch.nu, batch.mu], allow_unused=True)
    return by_nu, by_mu


def test_gradients_of_baggins_and_of_its_ablations() -> None:
    """Each derivative by hand; r = |x - nu|^2, u = tr(I + M), T = tau r / u, Sigma = I."""
    tau, batch = 0.5, Batch(0)
    size = batch.x.shape[1]
    residual = batch.x - batch.nu
    r = residual.square().sum(-1, keepdim=True)
    moment = batch.mu.square().mean(1, keepdim=True)
    u = (1 + moment).sum(-1, keepdim=True)
    of_prior = -batch.mu / (1 + moment) / size  # of -1/2 log|I + M|
    by_u = 0.5 * (M / u - 1 / tau)  # of log p, T moving with u
    of_u = 2 * batch.mu / size  # of u by mu; the mean over the batch of log p cancels nothing
    expected = {
        "baggins": (M * residual / r / size, of_prior + by_u * of_u),
        # T fixed: the gradient of -|x - nu|^2 / 2T alone, with T = tau r / u.
        "baggins-fixed-t": (u * residual / (tau * r) / size, of_prior),
        "baggins-fixed-s": (M * residual / r / size, of_prior),
    }
    values = {name: Batch(0).bound(name, 1.0, tau) for name in expected}
    for name, (by_nu, by_mu) in expected.items():
        found = gradients(name, tau)
        torch.testing.assert_close(found[0], by_nu, msg=name)
        torch.testing.assert_close(found[1], by_mu, msg=name)
        torch.testing.assert_close(values[name], values["baggins"], rtol=0, atol=0)


def test_learned_variances_against_torch_distributions() -> None:
    batch = Batch(1)
    generator = torch.Generator().manual_seed(1)
    for name, shape in (("gaussian-learned", (2, 5, M)), ("gaussian-shared", (2, 1, 1))):
        std = 0.1 + torch.rand(shape, dtype=torch.float64, generator=generator)
        function = LIKELIHOODS[name].log_likelihood
        assert function is not None
        expected = Independent(Normal(batch.nu, std.expand_as(batch.x)), 1).log_prob(batch.x)
        torch.testing.assert_close(function(batch.x, Decoded(batch.nu, std)), expected)


def test_a_variance_of_each_coordinate_against_torch_distributions() -> None:
    batch = Batch(7)
    std = 0.01 + batch.nu[:, :1].abs()  # of each run and coordinate, whatever the example
    gaussian = LIKELIHOODS["gaussian-coordinate"]
    assert gaussian.log_likelihood is not None
    found = gaussian.log_likelihood(batch.x, Decoded(batch.nu, std))
    mean = 1 / (1 + (-batch.nu).exp())
    expected = Independent(Normal(mean, std.expand_as(batch.x)), 1).log_prob(batch.x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(gaussian.mean(batch.nu), mean)


def test_the_batchs_variance_is_the_best_shared_one() -> None:
    batch = Batch(2)
    found = batch.bound("gaussian-shared-batch", 1.0, None)
    squared = (batch.x - batch.nu).square().sum(-1)
    posterior = DiagonalPosterior(batch.mu, torch.ones(2, 1, 1, dtype=torch.float64))
    variances = torch.logspace(-3, 3, 10_001, dtype=torch.float64)
    for k in range(2):
        bounds = isotropic_log_likelihood(squared[k, :, None], variances, M).mean(0)
        best = bounds.max() - 0.5 * (batch.mu[k] ** 2).mean(0).log1p().sum()
        assert found[k].item() == pytest.approx(best.item(), rel=1e-6)
    assert information(posterior) is not None
    assert information(DiagonalPosterior(batch.mu, torch.ones_like(batch.mu))) is None
