"""The densities of trained runs, of every objective, posterior, prior and likelihood."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.linear_runs import CPU, linear_run
from tests.packs import MakeSettings, train_steps
from vaebench.core.prior import FullPrior
from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.evidence.density import Density, density_of
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.grid import exact_elbo
from vaebench.evidence.importance import importance_weights
from vaebench.execution.session import Resources, Target, train_targets
from vaebench.experiment.settings import Settings
from vaebench.objectives import OBJECTIVES
from vaebench.runs.measurement import RunFiles
from vaebench.runs.record import RunRecord, read_record
from vaebench.training.final_metrics import final_metrics


def record_with(**fields: Any) -> RunRecord:
    """A record that has only what `density_of` reads of it."""
    return RunRecord.model_construct(**fields)


def trained(run: Settings, data: Arrays, steps: int = 3) -> tuple[Density, dict[str, Any]]:
    """A hardly trained run, with its test metrics."""
    pack, state = train_steps([run], data, steps)
    (measured,) = final_metrics(pack, state, data)
    record = record_with(run=run, status="completed", final=measured.final)
    weights = {name: tensor.detach()[0] for name, tensor in state.parameters.items()}
    return density_of(record, weights, measured.arrays, CPU), measured.final.test.model_dump()


def choices() -> list[tuple[str, str, str]]:
    return [
        (name, posterior, prior)
        for name, one in OBJECTIVES.items()
        if one.conditioning is None  # test_dependence.py has the others
        for posterior in one.posterior
        for prior in one.prior
    ]


@pytest.mark.parametrize(("objective", "posterior", "prior"), choices())
def test_the_mean_bound_is_that_of_the_metrics(
    objective: str, posterior: str, prior: str, settings: MakeSettings, digits: Arrays
) -> None:
    one = OBJECTIVES[objective]
    given = {
        **({"posterior": posterior} if len(one.posterior) > 1 else {}),
        **({"prior": prior} if len(one.prior) > 1 else {}),
        **{n: 2 for n in ("importance_samples",) if n in one.parameters},
        **{n: 1.0 for n, p in one.parameters.items() if p.default is None},
    }
    run = settings(objective=objective, latent_dim=2, latent_scale=3.0, **given)
    density, metrics = trained(run, digits)
    x = density.data(torch.from_numpy(digits.test_images.reshape(-1, 784)))
    q = density.encode(x)
    assert q.is_full == (posterior == "full")
    assert q.factor.shape[:2] == (len(x), 2)
    assert isinstance(density.prior, FullPrior) == (prior == "floating-full")
    codes = density.encode(density.data(torch.from_numpy(digits.train_images.reshape(-1, 784))))
    square = (codes.std.square() + codes.mean.square()).double().mean(0)
    expected = torch.ones_like(square) if prior == "standard" else square
    assert (square - 1).abs().max() > 0.05
    torch.testing.assert_close(density.prior.variance[0, 0], expected, rtol=1e-4, atol=0)
    # The metrics have one draw of each image; S^2 is that of the training set.
    found = importance_weights(density, x, q, 4, torch.Generator()).log_w.mean()
    assert float(found) == pytest.approx(metrics["elbo_frozen_prior"], abs=1)
    few = slice(10)
    weights = importance_weights(density, x[few], q.rows(few), 200, torch.Generator())
    exact = exact_elbo(density, x[few], q.rows(few))
    torch.testing.assert_close(weights.log_w.mean(0), exact, atol=2.0, rtol=0)


@pytest.mark.parametrize("likelihood", ["baggins", "gaussian-shared-batch"])
def test_a_variance_of_a_batch_is_frozen(
    likelihood: str, settings: MakeSettings, digits: Arrays
) -> None:
    own = {"tau": 0.2} if likelihood == "baggins" else {}
    run = settings(objective="bilbo", likelihood=likelihood, data_scale=2.0, **own)
    density, metrics = trained(run, digits)
    x = density.data(torch.from_numpy(digits.test_images.reshape(-1, 784)))
    assert density.variance is not None
    assert float(x.max()) == 2.0
    assert density.log_volume == pytest.approx(784 * np.log(2))
    q = density.encode(x)
    mean, std = density.mean_and_std(density.decode(q.mean))
    expected = torch.distributions.Normal(mean, std).log_prob(x).sum(-1)
    torch.testing.assert_close(density.log_likelihood(x, q.mean), expected, atol=1e-3, rtol=1e-5)
    assert float(std) == pytest.approx(density.variance**0.5)
    found = importance_weights(density, x, q, 4, torch.Generator()).log_w.mean()
    assert float(found) == pytest.approx(metrics["elbo_frozen_prior"], rel=0.01)


def test_a_frozen_variance_that_is_missing_is_refused(
    settings: MakeSettings, digits: Arrays
) -> None:
    run = settings(objective="bilbo", likelihood="gaussian-shared-batch")
    pack, state = train_steps([run], digits, 1)
    (measured,) = final_metrics(pack, state, digits)
    final = measured.final.model_copy(update={"likelihood_variance": None})
    record = record_with(run=run, status="completed", final=final)
    with pytest.raises(UserError, match=r"likelihood_variance in metrics\.json is None"):
        density_of(record, {}, measured.arrays, CPU)
    record = record_with(run=run, status="diverged", diverged_step=7, final=final)
    with pytest.raises(UserError, match="diverged at step 7: its weights have no evidence"):
        density_of(record, {}, measured.arrays, CPU)


def test_a_file_of_weights_gives_the_densities_of_its_run(
    tmp_path: Path, data_root: Path, settings: MakeSettings, digits: Arrays
) -> None:
    from vaebench.evidence.measure import open_density

    folder = tmp_path / "run"
    run = settings(objective="full-floating")
    target = Target(run, folder, folder / "model.safetensors")
    assert train_targets("x", [target], Resources(CPU, data_root, tmp_path / "store", 10))
    record = read_record(folder / "metrics.json")
    density = open_density(RunFiles(folder, target.weights), record, CPU)
    x = density.data(torch.from_numpy(digits.test_images.reshape(-1, 784)))
    found = importance_weights(density, x, density.encode(x), 4, torch.Generator()).log_w.mean()
    assert float(found) == pytest.approx(record.final.test.elbo_frozen_prior or 0, abs=1)
    (folder / "arrays.npz").write_bytes(b"")
    with pytest.raises(UserError, match=r"arrays\.npz is (missing|not the file that)"):
        open_density(RunFiles(folder, target.weights), record, CPU)


def test_gradients_are_those_of_differences() -> None:
    density = linear_run(3, 12, likelihood="bernoulli").density
    density = replace(density, variance=None)
    x = torch.rand(4, 12, generator=torch.Generator().manual_seed(0)).double()
    z = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1)).double()
    value, gradient = density.log_joint_gradient(x, z)
    torch.testing.assert_close(value, density.log_likelihood(x, z) + density.log_prior(z))
    for k in range(3):
        step = 1e-5 * torch.eye(3).double()[k]
        slope = (density.log_joint(x, z + step) - density.log_joint(x, z - step)) / 2e-5
        torch.testing.assert_close(gradient[..., k], slope, atol=1e-5, rtol=1e-5)


def test_samples_of_a_gaussian_have_its_moments() -> None:
    density = linear_run(2, 5).density
    z = torch.ones(20_000, 2).double()
    x = density.sample(z, torch.Generator().manual_seed(0))
    torch.testing.assert_close(x.mean(0), density.decode(z[0]).output, atol=0.03, rtol=0)
    torch.testing.assert_close(x.var(0), torch.full((5,), 0.4).double(), atol=0.03, rtol=0)
    prior = density.prior_sample(torch.randn(20_000, 2, generator=torch.Generator()).double())
    torch.testing.assert_close(prior.var(0), density.prior.variance[0, 0], atol=0.1, rtol=0)


@pytest.mark.parametrize("is_full", [False, True])
def test_gaussians_agree_with_torch_distributions(is_full: bool) -> None:
    random = torch.Generator().manual_seed(0)
    mean = torch.randn(4, 3, generator=random).double()
    factor = torch.rand(4, 3, 3, generator=random).double().tril() + torch.eye(3).double()
    q = Gaussians(mean, factor if is_full else factor.diagonal(dim1=1, dim2=2))
    normal = torch.distributions.MultivariateNormal(mean, scale_tril=q.cholesky)
    noise = torch.randn(6, 4, 3, generator=random).double()
    z = q.z(noise)
    torch.testing.assert_close(q.log_density_of_noise(noise), normal.log_prob(z))
    torch.testing.assert_close(q.noise(z), noise)
    torch.testing.assert_close(q.std.square(), normal.covariance_matrix.diagonal(dim1=1, dim2=2))
    direction = torch.randn(4, 3, generator=random).double()
    free = noise[0].clone().requires_grad_()
    (slope,) = torch.autograd.grad((q.z(free) * direction).sum(), free)
    torch.testing.assert_close(q.gradient_by_noise(direction), slope)
    prior = linear_run(3, 4).density.prior
    on = torch.distributions.MultivariateNormal(mean[0] * 0, torch.diag(prior.variance[0, 0]))
    torch.testing.assert_close(q.kl(prior), torch.distributions.kl_divergence(normal, on))
