"""Every objective and likelihood against an independent formula in float64."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from tests.packs import bound_of, make_batch
from vaebench.core.posterior import DiagonalPosterior, FullPosterior, Posterior
from vaebench.likelihoods import LIKELIHOODS, Decoded
from vaebench.objectives import OBJECTIVES

shapes = st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 5))
scales = st.sampled_from([1e-3, 0.1, 1.0, 30.0])


def draw(
    shape: tuple[int, int, int], scale: float, seed: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Posterior means of that scale, and log-likelihoods of the size that images have."""
    generator = torch.Generator().manual_seed(seed)
    mean = scale * torch.randn(shape, generator=generator, dtype=dtype)
    log_likelihood = -100 + 10 * torch.randn(shape[:2], generator=generator, dtype=dtype)
    return mean, log_likelihood


@given(shapes, scales, st.integers(0, 99))
def test_learned_is_the_elbo_with_torchs_kl(
    shape: tuple[int, int, int], scale: float, seed: int
) -> None:
    mean, log_likelihood = draw(shape, scale, seed)
    std = 0.01 + torch.rand(
        shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    kl = kl_divergence(Normal(mean, std), Normal(torch.zeros_like(mean), torch.ones_like(std)))
    expected = (log_likelihood - kl.sum(-1)).mean(-1)
    found = bound_of("learned", mean, std, log_likelihood)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-9)


def test_learned_stands_a_std_whose_square_underflows() -> None:
    std = torch.full((1, 1, 1), 1e-30, requires_grad=True)
    bound = bound_of("learned", torch.zeros(1, 1, 1), std, torch.zeros(1, 1))
    assert bound.item() == pytest.approx(0.5 + math.log(1e-30))
    (gradient,) = torch.autograd.grad(bound.sum(), std)
    assert gradient.item() == pytest.approx(1e30, rel=1e-5)


@given(shapes, scales, st.sampled_from([0.1, 1.0, 3.0]), st.integers(0, 99))
def test_constant_is_eq_2_with_the_prior_of_eq_4(
    shape: tuple[int, int, int], scale: float, sigma: float, seed: int
) -> None:
    mean, log_likelihood = draw(shape, scale, seed)
    std = torch.full((shape[0], 1, 1), sigma, dtype=torch.float64)
    prior_std = (sigma**2 + (mean**2).mean(1, keepdim=True)).sqrt().expand_as(mean)
    kl = kl_divergence(Normal(mean, std.expand_as(mean)), Normal(torch.zeros_like(mean), prior_std))
    expected = (log_likelihood - kl.sum(-1)).mean(-1)
    found = bound_of("constant", mean, std, log_likelihood)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-9)


@given(shapes, scales, st.sampled_from([0.1, 1.0, 3.0]), st.integers(0, 99))
def test_bilbo_is_eq_24_written_out(
    shape: tuple[int, int, int], scale: float, sigma: float, seed: int
) -> None:
    mean, log_likelihood = draw(shape, scale, seed)
    runs, batch, latent = shape
    std = torch.full((runs, 1, 1), sigma, dtype=torch.float64)
    found = bound_of("bilbo", mean, std, log_likelihood)
    for r in range(runs):
        expected = sum(log_likelihood[r].tolist()) / batch
        for j in range(latent):
            moment = sum(mean[r, i, j].item() ** 2 for i in range(batch)) / batch
            expected -= 0.5 * math.log(1 + moment / sigma**2)
        assert found[r].item() == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@settings(max_examples=50)
@given(shape=shapes, scale=scales, sigma=st.sampled_from([0.1, 1.0, 3.0]), seed=st.integers(0, 99))
def test_constant_and_bilbo_are_one_objective(
    dtype: torch.dtype,
    tolerance: float,
    shape: tuple[int, int, int],
    scale: float,
    sigma: float,
    seed: int,
) -> None:
    values, gradients = {}, {}
    for name in ("constant", "bilbo"):
        mean, log_likelihood = draw(shape, scale, seed, dtype)
        mean.requires_grad_()
        std = torch.full((shape[0], 1, 1), sigma, dtype=dtype)
        values[name] = bound_of(name, mean, std, log_likelihood)
        (gradients[name],) = torch.autograd.grad(values[name].sum(), mean)
    size = values["bilbo"].abs().clamp(min=shape[2])
    assert ((values["constant"] - values["bilbo"]).abs() <= tolerance * size).all()
    # By norm, and never finer than rounding of the terms that cancel near collapse.
    reference = max(gradients["bilbo"].norm().item(), 1.0)
    assert (gradients["constant"] - gradients["bilbo"]).norm().item() <= tolerance * reference


def test_the_gradient_flows_through_the_batch_moment() -> None:
    mean, log_likelihood = draw((1, 4, 2), 1.0, 0)
    mean.requires_grad_()
    std = torch.ones(1, 1, 1, dtype=torch.float64)
    bound = bound_of("bilbo", mean, std, log_likelihood)
    (gradient,) = torch.autograd.grad(bound.sum(), mean)
    moment = (mean**2).mean(1, keepdim=True)
    torch.testing.assert_close(gradient, -mean / (1 + moment) / 4)


def log_likelihood_of(name: str, x: Tensor, output: Tensor) -> Tensor:
    function = LIKELIHOODS[name].log_likelihood
    assert function is not None
    return function(x, Decoded(output, None))


def test_bernoulli_against_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 5 * torch.randn(2, 3, 784, dtype=torch.float64, generator=generator)
    x = torch.randint(2, (2, 3, 784), generator=generator).double()
    expected = Independent(Bernoulli(logits=logits), 1).log_prob(x)
    torch.testing.assert_close(log_likelihood_of("bernoulli", x, logits), expected)


@given(st.floats(0, 1), st.floats(-60, 60))
def test_bernoulli_on_grey_values_is_the_cross_entropy(x: float, logit: float) -> None:
    p_log, q_log = -math.log1p(math.exp(-logit)), -logit - math.log1p(math.exp(-logit))
    found = log_likelihood_of(
        "bernoulli",
        torch.tensor([[[x]]], dtype=torch.float64),
        torch.tensor([[[logit]]], dtype=torch.float64),
    )
    assert found.item() == pytest.approx(x * p_log + (1 - x) * q_log, rel=1e-10, abs=1e-12)


def test_gaussian_against_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(2)
    x, mean = torch.randn(2, 2, 3, 784, dtype=torch.float64, generator=generator)
    expected = Independent(Normal(mean, torch.ones_like(mean)), 1).log_prob(x)
    torch.testing.assert_close(log_likelihood_of("gaussian", x, mean), expected)


def test_runs_do_not_mix() -> None:
    """A run that is not a number leaves the others' values and gradients as they are."""
    for name, objective in OBJECTIVES.items():
        mean, log_likelihood = draw((3, 5, 2), 1.0, 0)
        own: dict[str, Any] = {
            key: torch.ones(3, 1, dtype=torch.float64) if one.can_be_packed else one.default
            for key, one in objective.parameters.items()
        }
        results = []
        for poison in (0.0, math.nan):
            poisoned = mean.clone()
            poisoned[1] += poison
            poisoned.requires_grad_()
            likelihood = log_likelihood.clone()
            likelihood[1] += poison
            likelihood.requires_grad_()
            std = torch.ones(3, 1, 1, dtype=torch.float64)
            posterior: Posterior = DiagonalPosterior(poisoned, std)
            if objective.posterior[0].startswith("diagonal"):
                posterior = DiagonalPosterior(poisoned, std.expand(3, 5, 2))
            elif objective.posterior[0] == "full":
                posterior = FullPosterior(poisoned, torch.eye(2).double().expand(3, 5, 2, 2))
            values = likelihood
            if objective.samples is not None:
                posterior, values = (
                    posterior.per_draw(),
                    likelihood.unsqueeze(1).repeat(1, 5, 1),
                )
            batch = make_batch(posterior, values, objective.prior[0])
            if objective.samples is not None:
                own = {k: v.unsqueeze(-1) if isinstance(v, Tensor) else v for k, v in own.items()}
            bound = objective.bound(batch, **own)
            # A plain network has no codes, so its value depends on the likelihood alone.
            gradients = torch.autograd.grad(
                bound.sum(), (poisoned, likelihood), materialize_grads=True
            )
            results.append((bound[[0, 2]].detach(), *(one[[0, 2]] for one in gradients)))
        torch.testing.assert_close(results[0], results[1], rtol=0, atol=0, msg=name)
