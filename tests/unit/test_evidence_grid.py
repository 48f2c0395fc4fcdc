"""The exact evidence on a grid, against closed forms."""

from dataclasses import replace

import pytest
import torch

from tests.linear_runs import LinearRun, linear_run
from vaebench.errors import UserError
from vaebench.evidence import grid as grids
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.grid import (
    Grid,
    GridPosteriors,
    check_gaps,
    converged_grid,
    exact_elbo,
    grid_for,
    integrate,
)


def measured(run: LinearRun, x: torch.Tensor, points: int | None = None) -> grids.GridPosteriors:
    q = run.density.encode(x)
    return integrate(run.density, x, q, grid_for(run.density, q, points))


@pytest.mark.parametrize("latent", [1, 2])
@pytest.mark.parametrize("likelihood", ["gaussian-shared-batch", "gaussian-shared"])
def test_the_evidence_and_posterior_of_a_linear_decoder_are_exact(
    latent: int, likelihood: str
) -> None:
    run = linear_run(latent, 12, likelihood=likelihood)
    if likelihood == "gaussian-shared":
        run = replace(run, density=replace(run.density, variance=None))
    x = run.images(20)
    found = measured(run, x)
    torch.testing.assert_close(found.log_p, run.log_p(x), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.mean, run.posterior_mean(x), atol=1e-5, rtol=0)
    covariance = run.posterior_covariance
    torch.testing.assert_close(found.covariance, covariance.expand(20, -1, -1), atol=1e-5, rtol=0)
    entropy = torch.distributions.MultivariateNormal(x.new_zeros(latent), covariance).entropy()
    torch.testing.assert_close(found.entropy, entropy.expand(20), atol=1e-5, rtol=0)


@pytest.mark.parametrize("latent", [1, 2])
def test_the_gap_of_a_linear_decoder_is_the_divergence_of_two_gaussians(latent: int) -> None:
    run = linear_run(latent, 12, std_factor=0.6, mean_error=0.7)
    x = run.images(20)
    q = run.density.encode(x)
    gap = run.log_p(x) - exact_elbo(run.density, x, q)
    normal = torch.distributions.MultivariateNormal
    posterior = normal(run.posterior_mean(x), run.posterior_covariance)
    expected = torch.distributions.kl_divergence(
        normal(q.mean, torch.diag_embed(q.std**2)), posterior
    )
    assert expected.min() > 0.1
    torch.testing.assert_close(gap, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(measured(run, x).log_p - run.log_p(x) + gap, gap, atol=1e-5, rtol=0)


def bernoulli(scale: float = 2.0) -> tuple[Density, torch.Tensor]:
    """A linear map to logits, and 0/1 images of it."""
    run = linear_run(2, 30, scale=scale, likelihood="bernoulli")
    density = replace(run.density, variance=None)
    z = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)).double() * run.prior_std
    return density, density.sample(z, torch.Generator().manual_seed(1))


def test_a_decoder_that_ignores_z_has_its_likelihood_as_evidence() -> None:
    density, x = bernoulli()
    parameters = density.parameters | {
        "decoder.output.weight": torch.zeros_like(density.parameters["decoder.output.weight"])
    }
    density = replace(density, parameters=parameters)
    q = density.encode(x)
    found = integrate(density, x, q, grid_for(density, q))
    logits = density.decode(q.mean).output
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)
    torch.testing.assert_close(found.log_p, expected, atol=1e-5, rtol=0)
    # The posterior is the prior.
    variance = density.prior.variance[0].expand(40, -1)
    torch.testing.assert_close(
        found.covariance.diagonal(dim1=1, dim2=2), variance, atol=1e-4, rtol=1e-4
    )


def test_blocks_and_float32_change_the_evidence_by_rounding_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    density, x = bernoulli()
    q = density.encode(x)
    grid = grid_for(density, q, 200)
    whole = integrate(density, x, q, grid)
    monkeypatch.setattr(grids, "TILE", 100)
    monkeypatch.setattr(grids, "SKIP_NATS", 1000.0)
    torch.testing.assert_close(integrate(density, x, q, grid).log_p, whole.log_p)
    # By a plain sum over all points, without blocks, products or a running maximum.
    points = torch.cat(list(grid.tiles(x.device)))
    joint = density.log_joint(x[:3], points[:, None].expand(-1, 3, -1))
    torch.testing.assert_close(joint.logsumexp(0) + grid.log_cell, whole.log_p[:3])
    single = {name: tensor.float() for name, tensor in density.parameters.items()}
    rounded = replace(density, parameters=single, dtype=torch.float32)
    found = integrate(rounded, x.float(), q.changed(torch.Tensor.float), grid)
    torch.testing.assert_close(found.log_p, whole.log_p, atol=1e-4, rtol=0)


def test_twice_the_points_hardly_move_the_mean() -> None:
    density, x = bernoulli()
    q = density.encode(x)
    grid, found, _ = converged_grid(density, x, q, grid_for(density, q))
    assert grid.points == 600
    assert found.moved < 0.005
    finer = integrate(density, x, q, grid.with_points(1200)).log_p
    assert abs(float((finer - integrate(density, x, q, grid).log_p).mean())) < 0.005
    gap = finer - exact_elbo(density, x, q)
    assert gap.min() > -0.01
    check_gaps(gap, grid)


def test_a_grid_that_is_too_coarse_is_doubled_or_refused() -> None:
    density, x = bernoulli(scale=12.0)
    q = density.encode(x)
    coarse = grid_for(density, q, 10)
    with pytest.raises(UserError, match="the grid is too coarse: with 20 points an axis"):
        converged_grid(density, x, q, coarse, most=20)
    grid, found, _ = converged_grid(density, x, q, coarse)
    assert grid.points > 40
    assert found.moved < 0.005
    gap = integrate(density, x, q, coarse).log_p - exact_elbo(density, x, q)
    with pytest.raises(UserError, match=r"the grid is too coarse for \d+ images: with 10 points"):
        check_gaps(gap, coarse)
    check_gaps(torch.tensor([0.5, -0.009]), coarse)
    for wrong in (-0.02, float("nan")):
        with pytest.raises(UserError, match="the grid is too coarse for 1 images"):
            check_gaps(torch.tensor([0.5, wrong]), coarse)


def test_no_grid_is_summed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    density, x = bernoulli(scale=12.0)
    q = density.encode(x)
    used: list[int] = []

    def noted(density: Density, x: torch.Tensor, q: Gaussians, grid: Grid) -> GridPosteriors:
        used.append(grid.points)
        return integrate(density, x, q, grid)

    monkeypatch.setattr(grids, "integrate", noted)
    monkeypatch.setattr(grids, "CHECKED_IMAGES", 30)
    grid, found, first = converged_grid(density, x, q, grid_for(density, q, 10))
    assert used == [5 * 2**k for k in range(len(used))]
    assert used[-1] == grid.points > 40
    whole = integrate(density, x, q, grid)
    assert first.log_p.shape == (30,)
    for field, expected in vars(whole.rows(slice(0, 30))).items():
        torch.testing.assert_close(getattr(first, field), expected)
    assert found.mean == pytest.approx(float(first.log_p.mean()))


def test_a_grid_reaches_prior_and_posteriors() -> None:
    run = linear_run(2, 12)
    q = Gaussians(torch.tensor([[0.0, -50.0]]), torch.tensor([[0.1, 2.0]]))
    grid = grid_for(run.density, q)
    assert grid.half_widths == pytest.approx((6 * float(run.prior_std[0]), 66.0))
    assert Grid((1.0, 2.0), 5).steps == (0.5, 1.0)
    with pytest.raises(UserError, match=r"1 or 2 latent dimensions \(found 3\): use ais"):
        grid_for(linear_run(3, 12).density, q)


def test_pairs_agree_with_the_likelihood_itself() -> None:
    from vaebench.evidence.pairs import Pairs
    from vaebench.experiment.settings import Settings
    from vaebench.likelihoods import LIKELIHOODS
    from vaebench.models.make import make_vae

    for name, likelihood in LIKELIHOODS.items():
        values = {
            **{"dataset": "digits", "likelihood": name, "objective": "bilbo", "latent_dim": 2},
            **{"network": "mlp", "hidden_units": 8, "hidden_layers": 1, "batch_size": 100},
            **{"learning_rate": 0.001, "epochs": 1, "seed": 0},
            **({"tau": 0.2} if "tau" in likelihood.parameters else {}),
            **({"data_scale": 3.0} if likelihood.data_scale else {}),
        }
        run = Settings.model_validate(values)
        vae = make_vae([run], (4, 4), torch.device("cpu"))
        parameters = vae.network.initialise([run], torch.device("cpu"))
        variance = 0.3 if likelihood.variance is not None else None
        density = Density(vae, parameters, linear_run(2, 3).density.prior, variance).in_double()
        x = density.data(torch.arange(0, 240, 3, dtype=torch.uint8).view(5, 16))
        z = torch.randn(7, 2, generator=torch.Generator().manual_seed(0)).double()
        expected = density.log_likelihood(x, z[:, None].expand(-1, 5, -1)).T
        assert density.kind == ("bernoulli" if name == "bernoulli" else "gaussian")
        torch.testing.assert_close(
            Pairs.of(density, x).log_likelihood(z).double(), expected.double()
        )
        slow = Pairs(density, x, x[0])
        if variance is None:
            torch.testing.assert_close(slow._one_by_one(z), expected)
