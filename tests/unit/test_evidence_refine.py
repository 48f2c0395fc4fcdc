"""The causes of the gap: known for a linear decoder, whose posterior is Gaussian."""

from dataclasses import replace

import pytest
import torch

from tests.linear_runs import LinearRun, linear_run
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.grid import exact_elbo, grid_for, integrate
from vaebench.evidence.refine import elbo, gap_parts, nearest_diagonal

IMAGES = 12


def precision(run: LinearRun) -> torch.Tensor:
    found: torch.Tensor = torch.linalg.inv(run.posterior_covariance)
    return found


def test_the_parts_of_a_linear_decoder_are_known() -> None:
    run = linear_run(2, 7, scale=1.0, std_factor=0.5, mean_error=0.8)
    x = run.images(IMAGES)
    q = run.density.encode(x)
    exact = integrate(run.density, x, q, grid_for(run.density, q))
    parts = gap_parts(run.density, x, q, run.log_p(x), exact, 0, "0")
    matrix = precision(run)
    family = 0.5 * (matrix.diagonal().log().sum() - torch.logdet(matrix))
    assert family > 0.02
    expected = run.log_p(x) - exact_elbo(run.density, x, q) - family
    torch.testing.assert_close(parts.amortisation, expected, atol=0.02, rtol=0)
    assert parts.wrong_mode is not None
    assert parts.diagonal_family is not None
    assert parts.wrong_mode.abs().max() < 0.02
    torch.testing.assert_close(parts.diagonal_family, family.expand(IMAGES), atol=0.02, rtol=0)
    assert parts.rest.abs().max() < 0.02
    total = parts.amortisation + parts.wrong_mode + parts.diagonal_family + parts.rest
    torch.testing.assert_close(total, run.log_p(x) - exact_elbo(run.density, x, q))


def test_a_full_family_loses_nothing_to_its_shape() -> None:
    run = linear_run(2, 12, scale=1.0)
    x = run.images(IMAGES)
    one = run.density.encode(x)
    q = Gaussians(one.mean + 0.5 * one.std, one.cholesky)
    exact = integrate(run.density, x, q, grid_for(run.density, q))
    parts = gap_parts(run.density, x, q, run.log_p(x), exact, 0, "0")
    assert parts.diagonal_family is not None
    assert (parts.diagonal_family == 0).all()
    gap = run.log_p(x) - exact_elbo(run.density, x, q)
    torch.testing.assert_close(parts.amortisation, gap, atol=0.02, rtol=0)


def test_a_start_in_the_wrong_mode_is_told_apart() -> None:
    """The images of z_1 = -1 are nearly those of z_1 = 1, so p(z|x) has a second, lower mode."""
    run = linear_run(2, 12, scale=1.0, variance=0.1)
    first, second = run.weight.T[:1], run.weight.T[1:]
    other = first + 0.6 * torch.randn(1, 12, generator=torch.Generator().manual_seed(0)).double()
    output = torch.cat([first, second, other, -second])[None]
    parameters = run.density.parameters | {"decoder.output.weight": output}
    density = replace(run.density, parameters=parameters)
    right = torch.tensor([[1.0, 0.3]]).double().repeat(IMAGES, 1)
    x = density.sample(right, torch.Generator().manual_seed(0))
    std = torch.full((IMAGES, 2), 0.1).double()
    found = []
    for sign in (1.0, -1.0):
        q = Gaussians(right * torch.tensor([sign, 1.0]).double(), std)
        exact = integrate(density, x, q, grid_for(density, q))
        parts = gap_parts(density, x, q, exact.log_p, exact, 0, "0")
        assert parts.wrong_mode is not None
        assert parts.diagonal_family is not None
        total = parts.amortisation + parts.wrong_mode + parts.diagonal_family + parts.rest
        torch.testing.assert_close(total, exact.log_p - exact_elbo(density, x, q))
        found.append(float(parts.wrong_mode.mean()))
    assert found[0] == pytest.approx(0, abs=0.05)
    assert found[1] > 0.5


def test_without_moments_only_amortisation_is_told_apart() -> None:
    run = linear_run(10, 30, scale=0.2, std_factor=0.6, mean_error=0.5)
    x = run.images(IMAGES)
    q = run.density.encode(x)
    parts = gap_parts(run.density, x, q, run.log_p(x), None, 0, "0")
    assert parts.wrong_mode is None
    assert parts.diagonal_family is None
    matrix = precision(run)
    family = 0.5 * (matrix.diagonal().log().sum() - torch.logdet(matrix))
    assert float(parts.rest.mean()) == pytest.approx(float(family), abs=0.05)
    own = elbo(run.density, x, q, 0, "0")
    torch.testing.assert_close(parts.amortisation + parts.rest, run.log_p(x) - own)
    best = nearest_diagonal(
        Gaussians(q.mean, torch.linalg.cholesky(run.posterior_covariance).expand(IMAGES, -1, -1))
    )
    torch.testing.assert_close(best.std, matrix.diagonal().rsqrt().expand(IMAGES, -1))
