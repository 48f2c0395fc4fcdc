"""The paper's equations, against closed forms, differences and automatic differentiation."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.linear_runs import CPU, LinearRun, linear_run
from vaebench.core.prior import DiagonalPrior
from vaebench.equations import gap as gaps
from vaebench.equations.closed_form import ClosedForm, curved_share
from vaebench.equations.determinants import determinant_of_data
from vaebench.equations.penalty import constant_sigma, insensitivity
from vaebench.equations.per_image import per_image
from vaebench.errors import UserError
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.laplace import evidence_at, most_probable
from vaebench.evidence.local import Model, gradient, information, model_of
from vaebench.experiment.settings import Settings
from vaebench.models.make import make_vae

EXACT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}


def random_like(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def network(likelihood: str, shape: tuple[int, int] = (7, 1), **settings: Any) -> Model:
    """An untrained run with two hidden layers of random weights and biases."""
    values = {
        **{"dataset": "digits", "likelihood": likelihood, "objective": "learned"},
        **{"latent_dim": 3, "network": "mlp", "hidden_units": 11, "hidden_layers": 2},
        **{"batch_size": 100, "learning_rate": 0.001, "epochs": 1, "seed": 0, "latent_scale": 2.0},
    }
    vae = make_vae([Settings.model_validate(values | settings)], shape, CPU)
    parameters = {
        name: random_like(*tensor.shape, seed=k)
        for k, (name, tensor) in enumerate(
            vae.network.initialise([vae.network.shared], CPU).items()
        )
    }
    prior = DiagonalPrior(torch.tensor([[[0.5, 1.0, 2.0]]]).double())
    scalar = 0.3 if likelihood in ("gaussian-shared-batch", "baggins") else None
    return model_of(Density(vae, parameters, prior, scalar, torch.float64))


LIKELIHOODS = ["bernoulli", "gaussian", "gaussian-shared", "gaussian-shared-batch"]


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_products_of_weights_and_masks_are_the_jacobian(likelihood: str) -> None:
    model, z = network(likelihood), random_like(5, 3, seed=1)
    output, jacobian = model.decoder.with_jacobian(z)

    def decode(one: Tensor) -> Tensor:
        return model.density.decode(one[None]).output[0]

    expected = torch.stack([torch.autograd.functional.jacobian(decode, one) for one in z])
    torch.testing.assert_close(jacobian.mT, expected, **EXACT)
    torch.testing.assert_close(output, model.density.decode(z).output, **EXACT)
    vectors = random_like(5, 7, seed=2)
    pulled = (jacobian @ vectors.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(model.decoder.pull_back(z, vectors), pulled, **EXACT)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_gradient_and_information_of_the_likelihood(likelihood: str) -> None:
    model, z = network(likelihood), random_like(5, 3, seed=1)
    x = random_like(5, 7, seed=3).sigmoid()

    def value(at: Tensor) -> Tensor:
        if likelihood == "bernoulli":  # the kernel of this package has no second derivative
            logits = model.density.decode(at).output
            return (x * logits - torch.nn.functional.softplus(logits)).sum()
        return model.density.log_likelihood(x, at).sum()

    torch.testing.assert_close(
        gradient(model, x, z), torch.autograd.functional.jacobian(value, z), **EXACT
    )
    # Between kinks a network of ReLU units is linear, so there is no other part of the Hessian.
    whole = torch.autograd.functional.hessian(value, z)
    hessian = torch.stack([whole[k, :, k] for k in range(5)])
    torch.testing.assert_close(information(model, z), -hessian, **EXACT)


def test_networks_and_likelihoods_without_these_products_are_refused() -> None:
    with pytest.raises(UserError, match=r"network 'conv': the Jacobian .* is no product"):
        network("bernoulli", (8, 8), network="conv", hidden_units=None, hidden_layers=None)
    with pytest.raises(UserError, match=r"'gaussian-learned': .* T does not depend on z"):
        network("gaussian-learned")


def linear(latent: int = 10, pixels: int = 50, **errors: float) -> tuple[LinearRun, Model, Tensor]:
    run = linear_run(latent, pixels, **errors)
    return run, model_of(run.density), run.images(20)


def test_laplace_is_exact_for_a_linear_decoder_at_the_mode_and_nowhere_else() -> None:
    run, model, x = linear(mean_error=3.0)
    mode = most_probable(model, x, run.density.encode(x).mean)
    torch.testing.assert_close(mode, run.posterior_mean(x), atol=1e-4, rtol=0)
    torch.testing.assert_close(evidence_at(model, x, mode), run.log_p(x), atol=1e-4, rtol=0)
    elsewhere = evidence_at(model, x, run.density.encode(x).mean)
    assert ((run.log_p(x) - elsewhere) > 1).all()


def test_the_determinants_of_equations_16_and_26_are_one() -> None:
    for likelihood in LIKELIHOODS:
        of_pixels, of_codes = determinant_of_data(network(likelihood), random_like(4, 3))
        torch.testing.assert_close(of_pixels, of_codes, **EXACT)


@pytest.mark.parametrize("latent", [2, 10])
def test_a_linear_decoder_with_the_best_posterior_meets_every_equation(latent: int) -> None:
    run, model, x = linear(latent)
    q = run.density.encode(x)
    found = per_image(model, x, q, run.log_p(x), 0, "test")
    for name in ("gradient", "gradient_averaged", "relative", "laplace_at_mean"):
        assert getattr(found, name).abs().max() < 1e-8, name
    ones = torch.ones_like(found.ratio_point)
    torch.testing.assert_close(found.ratio_point, ones, **EXACT)
    torch.testing.assert_close(found.ratio_averaged, ones, **EXACT)
    # Stein's identity has noise: A e e' in place of A.
    torch.testing.assert_close(found.ratio_exact.mean(), ones[0, 0], atol=0.05, rtol=0)
    tolerance = 1e-6 if latent == 2 else 1.0  # beyond two dimensions the bound has noise
    gap = run.log_p(x) - found.elbo
    assert (found.elbo_17.abs() < tolerance).all()
    assert (found.gap_point - gap).abs().max() < tolerance
    # What is left is the correlation between dimensions, which a diagonal Sigma loses.
    torch.testing.assert_close(found.gap_point, found.diagonal_loss, **EXACT)
    assert found.diagonal_loss.min() > 1e-3


def test_a_posterior_that_is_off_fails_each_equation() -> None:
    run, model, x = linear(2, std_factor=0.5, mean_error=1.0)
    found = per_image(model, x, run.density.encode(x), run.log_p(x), 0, "test")
    assert found.gradient.min() > 0.3
    torch.testing.assert_close(found.ratio_point, torch.full_like(found.ratio_point, 0.25))
    torch.testing.assert_close(
        found.ratio_exact.mean(), found.ratio_point.mean(), atol=0.02, rtol=0
    )
    assert found.laplace_at_mean.max() < -0.3
    assert (found.gap - found.gap_point).min() > 0.3  # Eq. 18 takes the mean for right


def test_steins_identity_has_what_the_averaged_information_leaves_out() -> None:
    """On a network with kinks, against the derivative of the bound by the standard deviation."""
    model = network("bernoulli")
    x = (random_like(100, 7, seed=3) > 0).double()
    q = Gaussians(random_like(100, 3, seed=4), torch.full((100, 3), 0.7).double())
    found = per_image(model, x, q, torch.zeros(100).double(), 0, "test")
    noise = random_like(4000, 3, seed=5)
    noise = torch.cat([noise, -noise])[:, None]
    log_std = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    scaled = Gaussians(q.mean, q.factor * log_std.exp())
    expected = model.density.log_likelihood(x, scaled.z(noise)).mean()
    bound = expected - scaled.kl(model.density.prior).mean()
    (slope,) = torch.autograd.grad(bound, log_std)
    torch.testing.assert_close(1 - found.ratio_exact.mean(0), slope, atol=0.08, rtol=0)
    assert (found.ratio_averaged.mean(0) - found.ratio_exact.mean(0)).abs().max() > 0.2


# Equations 6 and 7


def training_set() -> tuple[ClosedForm, Gaussians, Tensor]:
    images, mean = random_like(200, 7, seed=1).sigmoid(), random_like(200, 3, seed=2)
    posteriors = Gaussians(mean, 0.3 + random_like(200, 3, seed=3).abs())
    return ClosedForm.of(images, posteriors), posteriors, images


def test_the_closed_form_decoder_is_the_weighted_mean_of_images() -> None:
    closed, q, images = training_set()
    z = random_like(70, 3, seed=4)
    density = torch.distributions.Normal(q.mean, q.factor).log_prob(z[:, None]).sum(-1).exp()
    share = density / density.sum(1, keepdim=True)
    nu, weights = closed.mean_at(z)
    torch.testing.assert_close(nu, share @ images, **EXACT)
    torch.testing.assert_close(weights.effective, 1 / share.square().sum(1), **EXACT)
    rows = torch.arange(70)
    torch.testing.assert_close(closed.own_weight(z, rows), share[rows, rows], **EXACT)


def test_its_jacobian_is_a_central_difference() -> None:
    closed, _, _ = training_set()
    z, step = random_like(70, 3, seed=4), 1e-5
    for k in range(3):
        shift = step * torch.eye(3).double()[k]
        difference = (closed.mean_at(z + shift)[0] - closed.mean_at(z - shift)[0]) / (2 * step)
        relative = torch.dist(closed.jacobian_at(z)[:, k], difference) / difference.norm()
        assert relative < 1e-4


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_no_other_decoder_has_a_higher_bound(likelihood: str) -> None:
    """Of functions of z, on a set of codes drawn from the posteriors of one point."""
    images = (random_like(4, 7, seed=1) > 0).double()
    q = Gaussians(torch.zeros(4, 1).double(), torch.tensor([[0.5], [1.0], [1.0], [3.0]]).double())
    z = torch.linspace(-3, 3, 41).double()[:, None]
    density = torch.distributions.Normal(q.mean[:, 0], q.factor[:, 0]).log_prob(z).exp()

    def value(nu: Tensor) -> Tensor:
        """The integrand of the bound's expected log-likelihood, over the grid."""
        if likelihood == "gaussian":
            each: Tensor = -0.5 * (images - nu[:, None]).square().sum(-1)
        else:
            p = nu[:, None]
            each = (images.xlogy(p) + (1 - images).xlogy(1 - p)).sum(-1)
        total: Tensor = (density * each).sum(1)
        return total

    best = ClosedForm.of(images, q).mean_at(z)[0]
    for seed in range(5):
        other = (best + 0.05 * random_like(*best.shape, seed=seed)).clamp(1e-9, 1 - 1e-9)
        assert (value(other) < value(best)).all()


def test_a_linear_map_has_no_curved_share_and_a_parabola_has() -> None:
    u, weight = random_like(8, 5, 2, seed=1), random_like(2, 9, seed=2)
    centre = torch.zeros(5, 9).double()
    straight = torch.stack([u @ weight, -u @ weight])
    assert curved_share(straight, centre).max() < 1e-20
    bent = straight + (u @ weight).square()
    assert curved_share(bent, centre).min() > 0.2


# Matrices


def spd(n: int, seed: int = 0) -> Tensor:
    root = random_like(n, n + 2, seed=seed)
    return root @ root.T + 0.1 * torch.eye(n).double()


@pytest.mark.parametrize("n", [1, 2, 10, 40])
def test_equation_19_on_random_positive_definite_matrices(n: int) -> None:
    for seed in range(5):
        a = spd(n, seed)
        assert abs(gaps.minimum_over_sigma(a) - float(torch.logdet(a))) < 1e-5


def test_equation_20_is_equation_19_with_the_prior() -> None:
    prior, j = spd(4, 1).diagonal().diag(), random_like(9, 4)
    a = torch.linalg.inv(prior) + j.T @ j
    expected = torch.logdet(j.T @ j @ prior + torch.eye(4).double())
    assert abs(gaps.minimum_over_sigma(a) + torch.logdet(prior) - expected) < 1e-5


def test_an_indefinite_symmetric_matrix_has_no_minimum() -> None:
    rotation = torch.linalg.qr(random_like(3, 3))[0]
    for values in ((2.0, 1.0, -0.5), (1.0, -1e-3, 3.0), (-1.0, -1.0, -1.0)):
        a = rotation @ torch.tensor(values).double().diag() @ rotation.T
        assert gaps.minimum_over_sigma(a) == -torch.inf


def test_probes_estimate_the_trace_of_equation_19() -> None:
    a, factor = spd(4), torch.linalg.cholesky(spd(4, 1))
    v = random_like(200_000, 4) @ factor.T
    estimate = ((v @ a) * v).sum(-1).mean()
    torch.testing.assert_close(estimate, torch.trace(a @ factor @ factor.T), rtol=0.02, atol=0)


def test_the_predicted_gap_is_a_divergence_of_gaussians() -> None:
    a, sigma = spd(4), spd(4, 1)
    normal = torch.distributions.MultivariateNormal
    zero = torch.zeros(4).double()
    expected = torch.distributions.kl_divergence(
        normal(zero, sigma), normal(zero, precision_matrix=a)
    )
    torch.testing.assert_close(gaps.predicted_gap(a, torch.linalg.cholesky(sigma)), expected)


def test_equation_22_is_the_second_order_of_the_penalty() -> None:
    base = spd(3)
    for size, tolerance in ((0.05, 0.2), (0.005, 0.02)):
        noise = torch.stack([random_like(3, 3, seed=k) for k in range(50)])
        a = base + size * (noise + noise.mT)
        exact = gaps.constant_penalty(a)
        assert exact > 0
        assert gaps.second_order_penalty(a) == pytest.approx(exact, rel=tolerance)
    # In Eq. 21 the square is of the matrix. The square of its trace would be something else.
    relative = torch.linalg.solve(a.mean(0), a) - torch.eye(3).double()
    of_trace = 0.25 * float(relative.diagonal(dim1=-2, dim2=-1).sum(-1).square().mean())
    assert gaps.second_order_penalty(a) != pytest.approx(of_trace, rel=0.1)


@pytest.mark.parametrize("full", [True, False])
def test_the_penalty_of_a_constant_sigma_is_predicted_for_quadratic_bounds(full: bool) -> None:
    """Curvatures that differ between images, under a likelihood that is quadratic in z."""
    run, model, _ = linear(2, 12)
    x = run.images(400)
    mean = run.posterior_mean(x)
    a = torch.linalg.inv(run.posterior_covariance).expand(400, -1, -1)
    same = constant_sigma(model, x, mean, a, 0, "test", full)
    assert abs(same.measured) < 1e-9
    assert abs(same.predicted) < 1e-9
    # Wrong curvatures lose: the constant one is then nearer to the truth.
    factor = torch.where(torch.arange(400) % 2 == 0, 4.0, 0.25)[:, None, None].double()
    wrong = constant_sigma(model, x, mean, a * factor, 0, "test", full)
    assert wrong.predicted > 0.5
    assert wrong.misfit(wrong.predicted) > 1


def test_the_penalty_on_a_network_whose_curvature_varies() -> None:
    """Two linear pieces: units that are on for z > 0 only double the slope there."""
    run = linear_run(1, 12, likelihood="gaussian-shared-batch")
    parameters = dict(run.density.parameters)
    parameters["decoder.hidden1.weight"] = parameters["decoder.hidden1.weight"] * torch.tensor(
        [3.0, 1.0]
    )
    model = model_of(replace(run.density, parameters=parameters))
    side = torch.where(torch.arange(400) % 2 == 0, 9.0, -9.0)[:, None].double()
    x = model.decoder.outputs(side)
    x = x + 0.6 * random_like(*x.shape)
    mode = most_probable(model, x, side)
    a = model.precision + information(model, mode)
    found = constant_sigma(model, x, mode, a, 0, "test", True)
    assert found.predicted > 0.1
    assert found.predicted == pytest.approx(found.measured, rel=0.05)
    assert found.misfit(found.predicted) < 1


def test_bounds_lose_the_second_order_when_variances_change() -> None:
    run, model, x = linear(2)
    q = run.density.encode(x)
    # n/2 (s - 1 - log s) for each factor s of the variance; the logs of 2 and 1/2 cancel.
    exact = ((2 - 1) + (0.5 - 1)) / 2
    found = insensitivity(model, x, q, 0, "test")
    elbo = per_image(model, x, q, run.log_p(x), 0, "test").elbo.mean()
    assert found * abs(float(elbo)) == pytest.approx(exact, rel=1e-6)
