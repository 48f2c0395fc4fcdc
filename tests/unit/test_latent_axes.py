"""What a diagonal Sigma loses by its axes, correlations of posteriors, and evidence by prior."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.linear_runs import linear_run
from vaebench.core.prior import FullPrior
from vaebench.errors import UserError
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.grid import exact_elbo
from vaebench.latent.codes import Codes, whitened
from vaebench.latent.correlation import (
    covariances,
    curvature_precisions,
    grid_precisions,
    mean_correlation,
)
from vaebench.latent.divergence import mean_rate
from vaebench.latent.mixture import moments
from vaebench.latent.prior_evidence import prior_evidence
from vaebench.latent.rotation import best_axes, random_rotation, rotation

seeds = st.integers(0, 1000)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spread(latent: int, seed: int, count: int = 12) -> Tensor:
    """Diagonal matrices of very different entries, float64."""
    entries = (2 * torch.randn(count, latent, generator=stream(seed)).double()).exp()
    return torch.diag_embed(entries)


@settings(max_examples=15)
@given(seeds, st.integers(2, 5))
def test_common_axes_are_found_again(seed: int, latent: int) -> None:
    diagonal = spread(latent, seed)
    aligned = rotation(diagonal, stream())
    assert aligned.loss == pytest.approx(0, abs=1e-9)
    assert aligned.random > 0.05
    assert aligned.alignment == pytest.approx(1)
    turn = random_rotation(latent, stream(seed))
    torch.testing.assert_close(turn @ turn.T, torch.eye(latent).double())
    turned = rotation(turn @ diagonal @ turn.T, stream())
    assert turned.best <= turned.loss
    assert turned.best < 0.2 * turned.random + 1e-3
    # The determinant, so what a full Sigma reaches, does not depend on the axes.
    after = best_axes(turn @ diagonal @ turn.T)
    torch.testing.assert_close(torch.linalg.slogdet(after)[1], torch.linalg.slogdet(diagonal)[1])


def test_random_axes_have_no_alignment() -> None:
    found = []
    for seed in range(40):
        turn = random_rotation(3, stream(seed))
        found.append(rotation(turn @ spread(3, 7) @ turn.T, stream(seed)).alignment)
    assert all(value is not None for value in found)
    assert abs(sum(value or 0.0 for value in found) / len(found)) < 0.25


def test_round_posteriors_have_no_axes() -> None:
    eye = 3.0 * torch.eye(4).double().expand(6, 4, 4).clone()
    assert rotation(eye, stream()).alignment is None


def test_correlations_are_those_of_the_covariances() -> None:
    lower = torch.tensor([[[2.0, 0.0], [1.5, 2.0]]]).double()
    assert mean_correlation(covariances(Gaussians(torch.zeros(1, 2), lower))) == pytest.approx(0.6)
    diagonal = Gaussians(torch.zeros(3, 2), torch.ones(3, 2).double())
    assert mean_correlation(covariances(diagonal)) == 0
    assert mean_correlation(torch.ones(1, 1, 1)) is None


def test_precisions_of_a_linear_decoder_are_known() -> None:
    run = linear_run(2, 12)
    images = run.images(5)
    std = torch.diag(run.prior_std)
    expected = (std @ run.posterior_covariance.inverse() @ std).expand(5, 2, 2)
    curvature = curvature_precisions(run.density, images, stream())
    torch.testing.assert_close(curvature, expected)
    torch.testing.assert_close(grid_precisions(run.density, images), expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(UserError, match=r"1 or 2 latent dimensions \(found 3\)"):
        grid_precisions(linear_run(3, 12).density, linear_run(3, 12).images(2))


def test_the_evidence_under_other_priors_of_a_linear_decoder() -> None:
    run = linear_run(2, 12, std_factor=1.3, mean_error=0.5)
    train, test = run.images(60), run.images(30, seed=2)

    def codes(x: Tensor) -> Gaussians:
        return whitened(run.density.encode(x), run.density.prior)

    fitted = moments(Codes.of(codes(train)))
    found = prior_evidence(run.density, test, codes(train), codes(test), fitted)
    torch.testing.assert_close(found.log_p[0], run.log_p(test), atol=1e-4, rtol=0)
    # Under N(m, C) of codes as they are, x is Gaussian too; under q_N it is a mixture of Gaussians.
    weight, noise = run.weight * run.prior_std, run.variance * torch.eye(12).double()

    def marginal(mean: Tensor, covariance: Tensor) -> Tensor:
        total = weight @ covariance @ weight.T + noise
        normal = torch.distributions.MultivariateNormal(run.offset + weight @ mean, total)
        density: Tensor = normal.log_prob(test)
        return density

    gaussian = marginal(fitted.mean, fitted.covariance)
    torch.testing.assert_close(found.log_p[1], gaussian, atol=1e-4, rtol=0)
    each = [marginal(m, torch.diag(s.square())) for m, s in zip(*_parts(codes(train)), strict=True)]
    aggregated = torch.stack(each).logsumexp(0) - math.log(60)
    torch.testing.assert_close(found.log_p[2], aggregated, atol=1e-3, rtol=0)
    assert found.moved < 0.005


def _parts(posteriors: Gaussians) -> tuple[Tensor, Tensor]:
    return posteriors.mean, posteriors.factor


def test_a_rotation_changes_nothing_for_a_full_posterior() -> None:
    run = linear_run(2, 12, likelihood="gaussian-shared-batch")
    density, x = run.density, run.images(6)
    standard = _with_standard_prior(density)
    q = Gaussians(density.encode(x).mean, covariance_factor(6))
    turn = random_rotation(2, stream(3))
    turned = Gaussians(q.mean @ turn.T, torch.linalg.cholesky(turn @ covariances(q) @ turn.T))
    assert mean_rate(Codes.of(turned)) == pytest.approx(mean_rate(Codes.of(q)))
    # z = R' z': the decoder's first weight takes the rotation.
    weight = standard.parameters["decoder.hidden1.weight"]
    moved = dict(standard.parameters) | {"decoder.hidden1.weight": turn @ weight}
    other = Density(standard.vae, moved, standard.prior, standard.variance, torch.float64)
    before, after = exact_elbo(standard, x, q), exact_elbo(other, x, turned)
    torch.testing.assert_close(before, after, atol=1e-3, rtol=0)
    # The family of diagonal posteriors is not closed: a turned one is not diagonal.
    diagonal = Gaussians(q.mean, torch.tensor([[0.2, 1.0]]).double().expand(6, 2))
    off = (turn @ covariances(diagonal) @ turn.T)[:, 0, 1]
    assert bool((off.abs() > 0.05).all())


def covariance_factor(count: int) -> Tensor:
    lower = torch.tensor([[0.4, 0.0], [0.3, 0.2]]).double()
    return lower.expand(count, 2, 2).clone()


def _with_standard_prior(density: Density) -> Density:
    prior = FullPrior(torch.eye(2).double()[None])
    return Density(density.vae, density.parameters, prior, density.variance, torch.float64)


def test_a_full_posterior_is_whitened_by_a_full_prior() -> None:
    lower = torch.tensor([[2.0, 0.0], [1.0, 0.5]]).double()
    prior = FullPrior(lower[None])
    white = whitened(Gaussians(torch.zeros(1, 2).double(), lower[None]), prior)
    torch.testing.assert_close(covariances(white)[0], torch.eye(2).double())
