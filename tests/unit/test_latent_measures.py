"""The aggregated posterior, its divergence from the prior and its MMD, against other formulas."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from vaebench.core.prior import DiagonalPrior, FullPrior
from vaebench.evidence.gaussians import Gaussians
from vaebench.latent.codes import Codes, unwhitened, whitened
from vaebench.latent.divergence import (
    divergence,
    gaussian_kl,
    gaussian_log_density,
    mean_rate,
)
from vaebench.latent.mixture import (
    log_density,
    log_density_on_tile,
    moments,
    sample,
)
from vaebench.latent.mmd import SCALES, squared_mmd

seeds = st.integers(0, 1000)
kinds = st.booleans()


def gaussians(count: int, latent: int, seed: int = 0, full: bool = False) -> Gaussians:
    random = torch.Generator().manual_seed(seed)
    mean = 1.2 * torch.randn(count, latent, generator=random).double() + 0.3
    std = 0.1 + 0.5 * torch.rand(count, latent, generator=random).double()
    if not full:
        return Gaussians(mean, std)
    below = 0.4 * torch.randn(count, latent, latent, generator=random).double().tril(-1)
    return Gaussians(mean, torch.diag_embed(std) + below)


def in_parts(posteriors: Gaussians) -> Codes:
    """Codes whose blocks are small, so that there are several."""
    return Codes(len(posteriors.mean), posteriors.rows, at_once=7)


def torchs(posteriors: Gaussians) -> MixtureSameFamily:
    count = len(posteriors.mean)
    return MixtureSameFamily(
        Categorical(torch.ones(count).double()),
        MultivariateNormal(posteriors.mean, scale_tril=posteriors.cholesky),
    )


def square(half_width: float, points: int) -> tuple[Tensor, float]:
    """Points of a square grid, shape [points^2, 2], and the log of a cell."""
    axis = torch.linspace(-half_width, half_width, points, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), 2 * math.log(2 * half_width / (points - 1))


@given(seeds, kinds, st.integers(1, 4))
def test_the_density_is_that_of_torchs_mixture(seed: int, full: bool, latent: int) -> None:
    posteriors = gaussians(20, latent, seed, full)
    z = 2 * torch.randn(9, latent, generator=torch.Generator().manual_seed(seed)).double()
    expected = torchs(posteriors).log_prob(z)
    torch.testing.assert_close(log_density(in_parts(posteriors), z), expected)
    tiled = log_density_on_tile(posteriors, z[:2])
    assert bool((tiled <= expected[:2] + 1e-9).all())
    heard = expected[:2] > -30
    torch.testing.assert_close(tiled[heard], expected[:2][heard], rtol=1e-6, atol=1e-3)


def test_nothing_is_near_a_far_tile() -> None:
    far = torch.full((3, 2), 50.0).double()
    assert log_density_on_tile(gaussians(5, 2), far).tolist() == [-math.inf] * 3


@given(seeds, kinds)
def test_moments_are_those_of_the_mixture(seed: int, full: bool) -> None:
    posteriors = gaussians(25, 3, seed, full)
    found, mixture = moments(in_parts(posteriors)), torchs(posteriors)
    torch.testing.assert_close(found.mean, mixture.mean)
    torch.testing.assert_close(found.variance, mixture.variance)
    total = posteriors.cholesky @ posteriors.cholesky.mT
    second = total.mean(0) + posteriors.mean.T @ posteriors.mean / 25
    torch.testing.assert_close(found.covariance, second - torch.outer(found.mean, found.mean))
    torch.testing.assert_close(found.of_means, posteriors.mean.var(0, correction=0))


def test_the_fourth_moment_is_that_of_draws() -> None:
    posteriors = gaussians(4, 2, full=True)
    found, z = moments(Codes.of(posteriors)), torchs(posteriors).sample(torch.Size([400_000]))
    off = z - z.mean(0)
    drawn = (off**4).mean(0) / off.square().mean(0).square() - 3
    torch.testing.assert_close(found.kurtosis, drawn, atol=0.03, rtol=0)


@given(seeds, kinds)
def test_draws_are_of_the_images_that_are_named(seed: int, full: bool) -> None:
    posteriors = gaussians(20, 2, seed, full)
    random = torch.Generator().manual_seed(seed)
    images, noise = (
        torch.randint(20, (30,), generator=random),
        torch.randn(30, 2, generator=random).double(),
    )
    found = sample(in_parts(posteriors), images, noise)
    for k in range(30):
        one = posteriors.changed(lambda tensor, i=int(images[k]): tensor[i : i + 1])  # type: ignore[misc]
        torch.testing.assert_close(found[k], one.z(noise[k])[0])


@pytest.mark.parametrize("full", [False, True])
def test_the_divergence_agrees_with_a_grid(full: bool) -> None:
    train, test = gaussians(30, 2, 1, full), gaussians(30, 2, 2, full)
    codes = in_parts(train)
    found, drawn = divergence(
        codes, in_parts(test), moments(codes), 60_000, torch.Generator().manual_seed(0)
    )
    assert drawn.shape == (60_000, 2)
    z, log_cell = square(7, 500)
    log_q, log_p = log_density(codes, z), -0.5 * z.square().sum(1) - math.log(2 * math.pi)
    q = (log_q + log_cell).exp()
    assert float(q.sum()) == pytest.approx(1, abs=1e-4)
    exact = float((q * (log_q - log_p)).sum())
    assert found.kl.error is not None
    assert found.kl.value == pytest.approx(exact, abs=0.01)
    # Pythagoras: the part that no Gaussian prior removes.
    fitted = moments(codes)
    shape = float((q * (log_q - gaussian_log_density(z, fitted))).sum())
    assert found.shape == pytest.approx(shape, abs=0.01)
    # Surgery: rate = I_N + KL.
    assert found.rate == pytest.approx(found.information.value + found.kl.value, abs=0.02)
    assert found.information.value < math.log(30)
    other = (log_density(in_parts(test), z) + log_cell).exp()
    held_out = float((other * (log_q - log_p)).sum())
    assert found.held_out.value == pytest.approx(held_out, abs=0.02)
    assert found.held_out.value < float((other * (log_density(in_parts(test), z) - log_p)).sum())
    gain = float((other * (gaussian_log_density(z, fitted) - log_p)).sum())
    assert found.gaussian_gain.value == pytest.approx(gain, abs=1e-3)


@given(seeds, kinds)
def test_the_rate_and_the_divergence_of_gaussians_are_torchs(seed: int, full: bool) -> None:
    posteriors, prior = gaussians(8, 3, seed, full), DiagonalPrior(torch.ones(1, 1, 3).double())
    assert mean_rate(in_parts(posteriors)) == pytest.approx(float(posteriors.kl(prior).mean()))
    one = MultivariateNormal(posteriors.mean[0], scale_tril=posteriors.cholesky[0])
    kl = torch.distributions.kl_divergence(
        one, MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    )
    assert gaussian_kl(one.mean, one.covariance_matrix) == pytest.approx(float(kl))


def test_information_saturates_at_the_number_of_images() -> None:
    apart = Gaussians(
        30 * torch.arange(50.0).double()[:, None].expand(50, 2), torch.ones(50, 2).double()
    )
    codes = Codes.of(apart)
    found, _ = divergence(codes, codes, moments(codes), 500, torch.Generator().manual_seed(0))
    assert found.information.value == pytest.approx(math.log(50))


@given(seeds, kinds)
def test_whitening_changes_no_divergence(seed: int, full: bool) -> None:
    posteriors = gaussians(6, 3, seed, full)
    random = torch.Generator().manual_seed(seed)
    lower = torch.randn(3, 3, generator=random).double().tril()
    lower.diagonal().abs_().add_(0.3)
    priors = (
        FullPrior(lower[None]),
        DiagonalPrior(lower.diagonal().square()[None, None]),
    )
    for prior in priors:
        white = whitened(posteriors, prior)
        assert mean_rate(Codes.of(white)) == pytest.approx(float(posteriors.kl(prior).mean()))
        torch.testing.assert_close(unwhitened(white.mean, prior), posteriors.mean)


@pytest.mark.parametrize("latent", [1, 3])
def test_the_mmd_of_two_gaussians_is_in_closed_form(latent: int) -> None:
    random = torch.Generator().manual_seed(0)
    variance, count = 2.0, 6000
    z = math.sqrt(variance) * torch.randn(count, latent, generator=random).double()
    found = squared_mmd(z)
    assert list(found) == list(SCALES)
    for scale, value in found.items():
        h = scale * latent

        def mean_kernel(total: float, h: float = h) -> float:
            """E exp(-|d|^2 / (2 h)) for d ~ N(0, total I)."""
            return float((h / (h + total)) ** (latent / 2))

        prior = mean_kernel(2)
        exact = mean_kernel(2 * variance) - 2 * mean_kernel(1 + variance) + prior
        assert value == pytest.approx(exact / prior, abs=0.01)


def test_the_mmd_of_few_codes_is_the_sum_over_pairs() -> None:
    z = gaussians(5, 2).mean
    random = torch.Generator().manual_seed(1)
    prior = torch.randn(4000, 2, generator=random).double()
    found = squared_mmd(z)
    for scale in SCALES:
        h = 2 * scale

        def kernel(a: Tensor, b: Tensor, h: float = h) -> Tensor:
            return (-torch.cdist(a, b).square() / (2 * h)).exp()

        within = (kernel(z, z).sum() - 5) / 20
        known = h / (h + 2)
        direct = float(within - 2 * kernel(z, prior).mean()) + known
        assert found[scale] == pytest.approx(direct / known, abs=0.05)


def test_codes_of_the_prior_have_no_mmd() -> None:
    z = torch.randn(4000, 10, generator=torch.Generator().manual_seed(0)).double()
    assert all(abs(value) < 0.01 for value in squared_mmd(z).values())
