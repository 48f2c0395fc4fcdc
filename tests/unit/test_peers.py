"""The objectives beside the paper's, against independent formulas in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from tests.packs import MakeSettings, bound_of, make_batch, train_steps
from vaebench.core.posterior import DiagonalPosterior, FullPosterior
from vaebench.data.prepared import Arrays
from vaebench.objectives import OBJECTIVES

seeds = st.integers(0, 99)
RUNS, SIZE, LATENT = 2, 6, 3


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def diagonal(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Means, standard deviations and log-likelihoods."""
    mean = normal(seed, RUNS, SIZE, LATENT)
    return mean, 0.1 + normal(seed + 1, *mean.shape).abs(), normal(seed + 2, RUNS, SIZE)


def standard_kl(mean: Tensor, std: Tensor) -> Tensor:
    return kl_divergence(Normal(mean, std), Normal(0.0, 1.0)).sum(-1)


@given(seeds, st.floats(0, 8), st.floats(0, 1), st.floats(0, 1))
def test_beta_vae_weighs_torchs_kl_and_warms_up(
    seed: int, beta: float, warm_up: float, progress: float
) -> None:
    mean, std, values = diagonal(seed)
    batch = make_batch(DiagonalPosterior(mean, std), values, progress=progress)
    own = {"beta": beta, "warm_up": warm_up}
    found = OBJECTIVES["beta-vae"].bound(
        batch, **{k: torch.full((RUNS, 1), v, dtype=torch.float64) for k, v in own.items()}
    )
    share = 1.0 if warm_up == 0 else min(1.0, round(100 * progress) / 100 / warm_up)
    expected = (values - share * beta * standard_kl(mean, std)).mean(-1)
    torch.testing.assert_close(found, expected)


@given(seeds)
def test_the_controls_are_the_bound_with_their_prior(seed: int) -> None:
    mean, std, values = diagonal(seed)
    standard = (values - standard_kl(mean, std)).mean(-1)
    torch.testing.assert_close(bound_of("learned-from-constant", mean, std, values), standard)
    scale = (std**2 + mean**2).mean(1, keepdim=True).sqrt().expand_as(mean)
    floating = kl_divergence(Normal(mean, std), Normal(torch.zeros_like(scale), scale)).sum(-1)
    found = bound_of("learned-floating", mean, std, values)
    torch.testing.assert_close(found, (values - floating).mean(-1))
    one = std[:, :1, :1]
    constant = (values - standard_kl(mean, one.expand_as(mean))).mean(-1)
    torch.testing.assert_close(bound_of("constant-standard", mean, one, values), constant)
    row = std[:, :1]
    shared = (values - standard_kl(mean, row.expand_as(mean))).mean(-1)
    torch.testing.assert_close(bound_of("shared", mean, row, values), shared)
    fitted = (row**2 + mean**2).mean(1, keepdim=True).sqrt().expand_as(mean)
    prior = Normal(torch.zeros_like(fitted), fitted)
    shared = (values - kl_divergence(Normal(mean, row.expand_as(mean)), prior).sum(-1)).mean(-1)
    torch.testing.assert_close(bound_of("shared-floating", mean, row, values), shared)


@given(seeds)
def test_full_objectives_with_torchs_multivariate_normal(seed: int) -> None:
    mean, std, values = diagonal(seed)
    factor = torch.diag_embed(std) + normal(seed + 3, RUNS, SIZE, LATENT, LATENT).tril(-1)
    posterior = FullPosterior(mean, factor)
    q = MultivariateNormal(mean, scale_tril=factor)
    zero = torch.zeros(LATENT, dtype=torch.float64)
    moments = factor @ factor.mT + mean.unsqueeze(-1) * mean.unsqueeze(-2)
    covariances = {
        "standard": torch.eye(LATENT, dtype=torch.float64).expand(RUNS, 1, LATENT, LATENT),
        "floating-full": moments.mean(1, keepdim=True),
        "floating": torch.diag_embed(moments.diagonal(dim1=-2, dim2=-1).mean(1, keepdim=True)),
    }
    for prior, covariance in covariances.items():
        expected = (values - kl_divergence(q, MultivariateNormal(zero, covariance))).mean(-1)
        name = "full" if prior == "standard" else "full-floating"
        found = OBJECTIVES[name].bound(make_batch(posterior, values, prior))
        torch.testing.assert_close(found, expected)


@given(seeds, st.integers(1, 4))
def test_iwae_is_the_log_of_the_mean_weight(seed: int, count: int) -> None:
    mean, std, _ = diagonal(seed)
    posterior = DiagonalPosterior(mean, std).per_draw()
    values = normal(seed + 2, RUNS, count, SIZE)
    z = posterior.sample(normal(seed + 3, RUNS, count, SIZE, LATENT))
    found = OBJECTIVES["iwae"].bound(make_batch(posterior, values, z=z), importance_samples=count)
    for r in range(RUNS):
        total = 0.0
        for i in range(SIZE):
            weights = []
            for k in range(count):
                log_q = Normal(mean[r, i], std[r, i]).log_prob(z[r, k, i]).sum()
                log_p = Normal(0.0, 1.0).log_prob(z[r, k, i]).sum()
                weights.append(float(values[r, k, i] + log_p - log_q))
            total += math.log(sum(math.exp(w) for w in weights) / count)
        assert found[r].item() == pytest.approx(total / SIZE, rel=1e-9)


@given(seeds, st.floats(0, 8))
def test_beta_tcvae_by_loops(seed: int, beta: float) -> None:
    mean, std, values = diagonal(seed)
    z = mean + std * normal(seed + 3, *mean.shape)
    size = 60_000
    found = OBJECTIVES["beta-tcvae"].bound(
        make_batch(DiagonalPosterior(mean, std), values, z=z, data_size=size),
        beta=torch.full((RUNS, 1), beta, dtype=torch.float64),
    )
    for r in range(RUNS):
        total = 0.0
        for i in range(SIZE):
            densities = torch.stack(
                [Normal(mean[r, j], std[r, j]).log_prob(z[r, i]) for j in range(SIZE)]
            )
            log_q = math.log(float(densities.sum(-1).exp().sum()) / (SIZE * size))
            product = float((densities.exp().sum(0) / (SIZE * size)).log().sum())
            own = float(densities[i].sum())
            log_p = float(Normal(0.0, 1.0).log_prob(z[r, i]).sum())
            cost = (own - log_q) + beta * (log_q - product) + (product - log_p)
            total += float(values[r, i]) - cost
        assert found[r].item() == pytest.approx(total / SIZE, rel=1e-9)


@given(seeds, st.floats(0, 100))
def test_info_vae_by_loops(seed: int, weight: float) -> None:
    mean, std, values = diagonal(seed)
    z = mean + std * normal(seed + 3, *mean.shape)
    batch = make_batch(DiagonalPosterior(mean, std), values, z=z)
    own = torch.full((RUNS, 1), weight, dtype=torch.float64)
    found = OBJECTIVES["info-vae"].bound(batch, mmd_weight=own)
    prior = batch.noise("mmd", SIZE, LATENT)

    def kernel(a: Tensor, b: Tensor) -> float:
        return math.exp(-float((a - b).square().sum()) / (2 * LATENT))

    for r in range(RUNS):
        pairs = [(i, j) for i in range(SIZE) for j in range(SIZE)]
        within = sum(kernel(x[r, i], x[r, j]) for x in (z, prior) for i, j in pairs if i != j) / (
            SIZE * (SIZE - 1)
        )
        across = sum(kernel(z[r, i], prior[r, j]) for i, j in pairs) / SIZE**2
        expected = float(values[r].mean()) - weight * (within - 2 * across)
        assert found[r].item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(seeds)
def test_iwae_with_one_sample_has_the_value_of_learned(seed: int) -> None:
    """In expectation over z, by Gauss-Hermite quadrature in one latent dimension, to 1e-6."""
    mean, std = normal(seed, RUNS, SIZE, 1), 0.1 + normal(seed + 1, RUNS, SIZE, 1).abs()
    posterior, slope = DiagonalPosterior(mean, std), normal(seed + 2, RUNS, SIZE)
    nodes, weights = (torch.from_numpy(x) for x in np.polynomial.hermite_e.hermegauss(40))
    shares = weights / weights.sum()

    def value(name: str, z: Tensor, draws: bool) -> Tensor:
        # A log-likelihood that depends on z, and a quadrature that is exact for it.
        values = -0.5 * (z[..., 0] - slope).square()
        chosen = posterior.per_draw() if draws else posterior
        z, values = (x.unsqueeze(1) if draws else x for x in (z, values))
        own = {"importance_samples": 1} if draws else {}
        return OBJECTIVES[name].bound(make_batch(chosen, values, z=z), **own)

    expected, found = (
        sum(
            share * value(name, mean + std * node, draws)
            for node, share in zip(nodes, shares, strict=True)
        )
        for name, draws in (("learned", False), ("iwae", True))
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_iwae_with_one_sample_is_learned_up_to_the_estimate_of_the_kl(
    settings: MakeSettings, digits: Arrays
) -> None:
    """From the same weights and noise, log p + log p(z) - log q has the bound as its mean."""
    mean, std, values = diagonal(0)
    noise = normal(5, RUNS, 1, SIZE, LATENT)
    posterior = DiagonalPosterior(mean, std)
    z = posterior.per_draw().sample(noise)
    found = OBJECTIVES["iwae"].bound(
        make_batch(posterior.per_draw(), values.unsqueeze(1), z=z), importance_samples=1
    )
    estimate = posterior.log_density(z[:, 0]) - Normal(0.0, 1.0).log_prob(z[:, 0]).sum(-1)
    torch.testing.assert_close(found, (values - estimate).mean(-1), rtol=0, atol=1e-12)
    # The first draw of K has the noise of an objective with one draw.
    run = settings(objective="iwae", importance_samples=1)
    iwae, one = train_steps([run], digits, 1)
    learned, other = train_steps([settings(objective="learned")], digits, 1)
    assert one.parameters.keys() == other.parameters.keys()
    bounds = [
        pack.evaluate(state.parameters, "test").elbo.item()
        for pack, state in ((iwae, one), (learned, other))
    ]
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-3)
