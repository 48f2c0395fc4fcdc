"""Posteriors and priors against torch.distributions, and the properties of their families."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from tests.packs import MakeSettings, train_steps
from vaebench.core.posterior import FAMILIES, DiagonalPosterior, FullPosterior, joined
from vaebench.core.prior import DiagonalPrior, FullPrior, batch_prior
from vaebench.data.prepared import Arrays
from vaebench.families import POSTERIORS, PRIORS
from vaebench.numerics.streams import normal as stream
from vaebench.objectives import OBJECTIVES
from vaebench.training.pack import Pack, init_state

CPU = torch.device("cpu")
RUNS, SIZE, LATENT, DRAWS = 2, 5, 3, 4
seeds = st.integers(0, 99)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def full_posterior(seed: int) -> FullPosterior:
    std = 0.2 + normal(seed, RUNS, SIZE, LATENT).abs()
    factor = torch.diag_embed(std) + normal(seed + 1, RUNS, SIZE, LATENT, LATENT).tril(-1)
    return FullPosterior(normal(seed + 2, RUNS, SIZE, LATENT), factor)


def test_the_registry_and_the_core_name_the_same_families() -> None:
    assert FAMILIES.keys() == POSTERIORS.keys()
    for name, family in FAMILIES.items():
        assert family.varies == POSTERIORS[name].varies
    for objective in OBJECTIVES.values():
        assert set(objective.posterior) <= POSTERIORS.keys()
        assert set(objective.prior) <= PRIORS.keys()


@given(seeds)
def test_full_posteriors_are_torchs(seed: int) -> None:
    posterior = full_posterior(seed)
    q = MultivariateNormal(posterior.mean, scale_tril=posterior.cholesky)
    noise = normal(seed + 3, RUNS, SIZE, LATENT)
    z = posterior.sample(noise)
    by_hand = posterior.mean + torch.einsum("rbij,rbj->rbi", posterior.cholesky, noise)
    torch.testing.assert_close(z, by_hand)
    torch.testing.assert_close(posterior.log_density(z), q.log_prob(z))
    torch.testing.assert_close(posterior.std, q.variance.sqrt())
    torch.testing.assert_close(2 * posterior.log_det(), q.covariance_matrix.logdet())
    outer = posterior.mean.unsqueeze(-1) * posterior.mean.unsqueeze(-2)
    torch.testing.assert_close(posterior.second_moments(), (q.covariance_matrix + outer).sum(1))


@given(seeds)
def test_a_diagonal_factor_gives_the_diagonal_posterior(seed: int) -> None:
    mean, std = normal(seed, RUNS, SIZE, LATENT), 0.1 + normal(seed + 1, RUNS, SIZE, LATENT).abs()
    one, other = DiagonalPosterior(mean, std), FullPosterior(mean, torch.diag_embed(std))
    noise = normal(seed + 2, RUNS, SIZE, LATENT)
    z = one.sample(noise)
    torch.testing.assert_close(other.sample(noise), z)
    torch.testing.assert_close(other.log_density(z), one.log_density(z))
    torch.testing.assert_close(other.log_det(), one.log_det())
    torch.testing.assert_close(other.second_moments(), one.second_moments())
    for name in PRIORS:
        first, second = (batch_prior(name, q).kl(q) for q in (one, other))
        torch.testing.assert_close(first, second)


@given(seeds)
def test_priors_are_torchs(seed: int) -> None:
    posterior = full_posterior(seed)
    z = normal(seed + 5, RUNS, SIZE, LATENT)
    full, diagonal = batch_prior("floating-full", posterior), batch_prior("floating", posterior)
    assert isinstance(full, FullPrior)
    assert isinstance(diagonal, DiagonalPrior)
    square = full.cholesky @ full.cholesky.mT
    expected = MultivariateNormal(torch.zeros(LATENT).double(), square.unsqueeze(1)).log_prob(z)
    torch.testing.assert_close(full.log_density(z), expected)
    torch.testing.assert_close(full.variance[:, 0], square.diagonal(dim1=-2, dim2=-1))
    torch.testing.assert_close(full.variance, diagonal.variance)
    by_dimension = Normal(torch.zeros_like(z), diagonal.variance.sqrt().expand_as(z)).log_prob(z)
    torch.testing.assert_close(diagonal.log_density(z), by_dimension.sum(-1))
    noise = torch.eye(LATENT).expand(RUNS, LATENT, LATENT)
    drawn = full.sample(noise)
    torch.testing.assert_close(drawn, full.cholesky.mT.float())


@given(seeds)
def test_draws_have_a_dimension_of_their_own(seed: int) -> None:
    for posterior in (full_posterior(seed), full_posterior(seed).marginal()):
        many = posterior.per_draw()
        noise = normal(seed + 3, RUNS, DRAWS, SIZE, LATENT)
        z = many.sample(noise)
        for k in range(DRAWS):
            torch.testing.assert_close(z[:, k], posterior.sample(noise[:, k]))
            one = posterior.log_density(z[:, k])
            torch.testing.assert_close(many.log_density(z)[:, k], one)
        for name in PRIORS:
            prior, other = batch_prior(name, many), batch_prior(name, posterior)
            torch.testing.assert_close(prior.kl(many)[:, 0], other.kl(posterior))
            torch.testing.assert_close(prior.log_density(z)[:, 1], other.log_density(z[:, 1]))


@given(seeds)
def test_a_rotation_leaves_the_rate_under_the_standard_prior(seed: int) -> None:
    posterior = full_posterior(seed)
    rotation, _ = torch.linalg.qr(normal(seed + 9, LATENT, LATENT))
    sigma = posterior.cholesky @ posterior.cholesky.mT
    factor = torch.linalg.cholesky(rotation @ sigma @ rotation.mT)
    turned = FullPosterior(posterior.mean @ rotation.mT, factor)
    before, after = (batch_prior("standard", q).kl(q) for q in (posterior, turned))
    torch.testing.assert_close(before, after)


def test_a_run_that_diverges_does_not_end_the_others() -> None:
    posterior = full_posterior(0)
    mean = posterior.mean.clone()
    mean[1] = math.nan
    kl = batch_prior("floating-full", FullPosterior(mean, posterior.cholesky))
    found = kl.kl(FullPosterior(mean, posterior.cholesky))
    expected = batch_prior("floating-full", posterior).kl(posterior)
    assert torch.equal(found[0], expected[0])
    assert found[1].isnan().all()


def test_blocks_are_joined() -> None:
    posterior = full_posterior(0).marginal()
    parts = [posterior.changed(lambda t: t[:, :2]), posterior.changed(lambda t: t[:, 2:])]
    whole = joined(parts, varies=True)
    assert torch.equal(whole.mean, posterior.mean)
    assert torch.equal(whole.std, posterior.std)
    constant = [DiagonalPosterior(p.mean, torch.ones(RUNS, 1, 1)) for p in parts]
    assert joined(constant, varies=False).std.shape == (RUNS, 1, 1)


def test_full_starts_with_the_weights_of_learned(settings: MakeSettings, digits: Arrays) -> None:
    packs = [Pack.of([settings(objective=o)], digits, CPU) for o in ("learned", "full")]
    learned, full = (init_state(pack).parameters for pack in packs)
    assert set(full) - set(learned) == {"encoder.lower.weight", "encoder.lower.bias"}
    assert all(torch.equal(full[name], tensor) for name, tensor in learned.items())


def test_learned_from_constant_starts_at_sigma(settings: MakeSettings, digits: Arrays) -> None:
    conv = {"network": "conv", "hidden_units": None, "hidden_layers": None}
    cases: list[dict[str, Any]] = [{}, conv]
    for changes in cases:
        run = settings(objective="learned-from-constant", posterior_std=0.3, **changes)
        crop = (slice(None), slice(6, 22), slice(6, 22)) if changes else slice(None)
        images = Arrays(
            digits.train_images[crop].copy(),
            digits.train_labels,
            digits.test_images[crop].copy(),
            digits.test_labels,
        )
        pack = Pack.of([run], images, CPU)
        std = pack.evaluate(init_state(pack).parameters, "test").posterior.std
        torch.testing.assert_close(std, torch.full_like(std, 0.3))


@pytest.mark.parametrize("prior", ["floating", "floating-full"])
def test_the_evaluation_of_a_full_covariance_by_torch(
    settings: MakeSettings, digits: Arrays, prior: str
) -> None:
    run = settings(objective="full-floating", prior=prior, latent_dim=3)
    pack, state = train_steps([run], digits, 30)
    test = pack.evaluate(state.parameters, "test")
    x = pack.test_images.float()[None] / 255
    with torch.no_grad():
        posterior = pack.vae.network.encode(state.parameters, x).changed(Tensor.double)
    assert isinstance(posterior, FullPosterior)
    q = MultivariateNormal(posterior.mean[0], scale_tril=posterior.cholesky[0])
    outer = posterior.mean[0].unsqueeze(-1) * posterior.mean[0].unsqueeze(-2)
    square = (q.covariance_matrix + outer).mean(0)
    if prior == "floating":
        square = square.diagonal().diag()
    p = MultivariateNormal(torch.zeros(3).double(), square)
    rate = torch.distributions.kl_divergence(q, p).mean()
    torch.testing.assert_close(test.rate, rate[None], rtol=1e-5, atol=1e-6)
    noise = stream([run.seed], "evaluation", "test", (len(x[0]), 3), CPU)
    with torch.no_grad():
        z = pack.vae.network.encode(state.parameters, x).sample(noise)
        logits = pack.vae.network.decode(state.parameters, z).output.double()
    grey = torch.distributions.Bernoulli(logits=logits, validate_args=False).log_prob(x.double())
    torch.testing.assert_close(test.distortion, -grey.sum(-1).mean(-1), rtol=1e-6, atol=0)
    torch.testing.assert_close(test.elbo, -test.rate - test.distortion)
    frozen = test.elbo_with_prior(test.prior)
    torch.testing.assert_close(frozen, test.elbo)
    assert test.information.isnan().all()
