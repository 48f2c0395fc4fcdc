"""Importance weighting, annealing and bidirectional Monte Carlo, against closed forms."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.linear_runs import LinearRun, linear_run
from vaebench.evidence.ais import Annealed, Target, annealed, forward, temperatures
from vaebench.evidence.bdmc import bracket
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.grid import exact_elbo, grid_for, integrate
from vaebench.evidence.importance import (
    importance_bound,
    importance_weights,
    log_mean_exp,
    pareto_shape,
)

IMAGES = 20


@pytest.fixture(scope="module")
def linear() -> LinearRun:
    """n = 10, m = 50."""
    return linear_run(10, 50, scale=0.3, std_factor=0.8, mean_error=0.3)


@pytest.fixture(scope="module")
def bent() -> tuple[Density, Tensor, Gaussians]:
    """A run with n = 2 whose logits are not linear in z, images of it, and a q(z|x) near p(z|x)."""
    run = linear_run(2, 30, scale=1.0, likelihood="bernoulli")
    parameters = dict(run.density.parameters)
    parameters["decoder.hidden1.bias"] = torch.tensor([[[0.3, -0.5, 0.2, 0.4]]]).double()
    density = replace(run.density, variance=None, parameters=parameters)
    z = torch.randn(IMAGES, 2, generator=torch.Generator().manual_seed(0)).double() * run.prior_std
    x = density.sample(z, torch.Generator().manual_seed(1))
    q = density.encode(x)
    exact = integrate(density, x, q, grid_for(density, q))
    std = exact.covariance.diagonal(dim1=1, dim2=2).sqrt()
    return density, x, Gaussians(exact.mean + 0.3 * std, 1.3 * std)


def estimate(run: LinearRun, x: Tensor, count: int = 100, seed: int = 0) -> Annealed:
    return annealed(run.density, x, run.density.encode(x), count, 8, seed, "0")


def test_annealing_finds_the_evidence_of_a_linear_decoder(linear: LinearRun) -> None:
    x = linear.images(IMAGES)
    found, exact = estimate(linear, x), linear.log_p(x)
    assert float((found.log_p - exact).mean()) == pytest.approx(0, abs=0.15)
    assert found.coarse_log_p is not None
    assert float((found.coarse_log_p - exact).mean()) == pytest.approx(0, abs=0.3)
    assert (found.effective > 1).all()
    assert (found.effective <= 8).all()
    assert 0.4 < float(found.acceptance.mean()) < 0.95


def test_the_bidirectional_bracket_is_narrow_about_the_evidence(linear: LinearRun) -> None:
    found = bracket(linear.density, IMAGES, 100, 8, 0, "0")
    width = float((found.upper - found.lower).mean())
    assert -0.02 < width < 0.3
    short = bracket(linear.density, IMAGES, 3, 8, 0, "0")
    assert float((short.upper - short.lower).mean()) > 2 * max(width, 0.05)


def test_the_bracket_contains_the_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    # A poor encoder and few temperatures, so that both bounds are clearly off.
    run = linear_run(10, 50, scale=0.3, std_factor=0.5, mean_error=1.0)
    drawn: list[Tensor] = []
    sample = Density.sample

    def noted(self: Density, z: Tensor, generator: torch.Generator) -> Tensor:
        drawn.append(sample(self, z, generator))
        return drawn[-1]

    monkeypatch.setattr(Density, "sample", noted)
    found = bracket(run.density, 200, 4, 8, 0, "0")
    exact = float(run.log_p(drawn[0]).mean())
    assert float(found.lower.mean()) < exact - 0.02
    assert float(found.upper.mean()) > exact + 0.02


def test_importance_weighting_finds_the_evidence_of_a_linear_decoder(linear: LinearRun) -> None:
    x = linear.images(IMAGES)
    q, exact = linear.density.encode(x), linear.log_p(x)
    random = torch.Generator().manual_seed(0)
    weights = importance_weights(linear.density, x, q, 5000, random)
    bounds = [float(importance_bound(weights.log_w, k).mean()) for k in (1, 100, 1000, 5000)]
    assert bounds == sorted(bounds)
    assert float(exact.mean()) - 0.2 < bounds[-1] < float(exact.mean()) + 0.02
    good = linear_run(10, 50, scale=0.15)
    x, exact = good.images(IMAGES), good.log_p(good.images(IMAGES))
    posteriors = good.density.encode(x)
    weights = importance_weights(good.density, x, posteriors, 5000, random)
    found = importance_bound(weights.log_w, 5000)
    assert float((found - exact).mean()) == pytest.approx(0, abs=0.01)
    assert (pareto_shape(weights.log_w) < 0.7).all()
    # The mean log weight is the bound, by its two parts.
    by_parts = weights.log_likelihood - posteriors.kl(good.density.prior)
    torch.testing.assert_close(by_parts, weights.log_w.mean(0), atol=0.2, rtol=0)


def test_annealing_agrees_with_the_grid_in_two_dimensions(
    bent: tuple[Density, Tensor, Gaussians],
) -> None:
    density, x, q = bent
    exact = integrate(density, x, q, grid_for(density, q)).log_p
    found = annealed(density, x, q, 100, 8, 0, "0")
    assert float((found.log_p - exact).mean()) == pytest.approx(0, abs=0.1)
    assert float((found.log_p - exact).abs().max()) < 1
    weights = importance_weights(density, x, q, 1000, torch.Generator().manual_seed(0))
    bound = importance_bound(weights.log_w, 1000)
    assert float(bound.mean()) <= float(found.log_p.mean()) + 0.05
    assert float((weights.log_likelihood - q.kl(density.prior)).mean()) == pytest.approx(
        float(exact_elbo(density, x, q).mean()), abs=0.1
    )


def test_one_temperature_is_importance_weighting(linear: LinearRun) -> None:
    x = linear.images(IMAGES)
    q = linear.density.encode(x)
    target = Target(linear.density, x, q)
    found, acceptance = forward(
        target, temperatures(1), x.new_ones(1, IMAGES), 8, torch.Generator().manual_seed(3)
    )
    weights = importance_weights(linear.density, x, q, 8, torch.Generator().manual_seed(3))
    torch.testing.assert_close(found, weights.log_w)
    assert acceptance.isnan().all()


def test_a_seed_gives_the_same_bytes(bent: tuple[Density, Tensor, Gaussians]) -> None:
    density, x, q = bent
    first, again, other = (annealed(density, x, q, 12, 3, seed, "0") for seed in (0, 0, 1))
    assert first.log_p.numpy().tobytes() == again.log_p.numpy().tobytes()
    assert not torch.equal(first.log_p, other.log_p)
    brackets = [bracket(density, 5, 12, 3, 0, "0").upper for _ in range(2)]
    assert brackets[0].numpy().tobytes() == brackets[1].numpy().tobytes()


def test_temperatures_rise_from_0_to_1() -> None:
    betas = temperatures(50)
    assert betas[0] == 0
    assert betas[-1] == 1
    assert len(betas) == 51
    steps = betas.diff()
    assert (steps > 0).all()
    assert steps[0] < 0.1 * steps[25]
    torch.testing.assert_close(steps, steps.flip(0))


@pytest.mark.parametrize("k", [0.2, 0.5, 1.0, 2.0])
def test_the_pareto_shape_of_powers_of_uniform_numbers(k: float) -> None:
    u = torch.rand(20_000, 8, generator=torch.Generator().manual_seed(0)).double()
    found = pareto_shape(-k * u.log())
    assert float(found.mean()) == pytest.approx(k, abs=0.08)
    # It does not depend on the scale of the weights.
    torch.testing.assert_close(pareto_shape(800 - k * u.log()), found)


@pytest.mark.parametrize("draws", [25, 100, 1000])
def test_the_pareto_shape_is_zhang_and_stephens_estimate(draws: int) -> None:
    """Their formulas with sums written out, for one image, as in the appendix of Vehtari et al."""
    log_w = 1.5 * torch.randn(draws, 1, generator=torch.Generator().manual_seed(draws)).double()
    tail = math.ceil(min(draws / 5, 3 * math.sqrt(draws)))
    weights = sorted(math.exp(value) for value in log_w[:, 0].tolist())
    y = [weight - weights[-tail - 1] for weight in weights[-tail:]]
    grid = 30 + int(math.sqrt(tail))
    theta = [
        1 / y[-1] + (1 - math.sqrt(grid / (j - 0.5))) / (3 * y[int(tail / 4 + 0.5) - 1])
        for j in range(1, grid + 1)
    ]

    def shape(at: float) -> float:
        return sum(math.log(1 - at * one) for one in y) / tail

    profile = [tail * (math.log(-at / shape(at)) - shape(at) - 1) for at in theta]
    share = [1 / sum(math.exp(other - own) for other in profile) for own in profile]
    mean = sum(a * b for a, b in zip(share, theta, strict=True))
    expected = (tail * shape(mean) + 10 * 0.5) / (tail + 10)
    assert float(pareto_shape(log_w)) == pytest.approx(expected, rel=1e-9)


def test_the_pareto_shape_of_equal_and_of_bounded_weights() -> None:
    assert pareto_shape(torch.full((100, 2), -300.0).double()).tolist() == [0, 0]
    u = torch.rand(5000, 1, generator=torch.Generator().manual_seed(0)).double()
    assert float(pareto_shape(u.log())) < 0.1


def test_bounds_of_few_draws_are_averaged_over_blocks() -> None:
    log_w = torch.tensor([0.0, math.log(3), math.log(5), math.log(7), 50.0]).double()[:, None]
    expected = (math.log(2) + math.log(6)) / 2
    assert float(importance_bound(log_w, 2)) == pytest.approx(expected)
    assert float(log_mean_exp(log_w[:2])) == pytest.approx(math.log(2))
