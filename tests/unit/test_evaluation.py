import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from vaebench.core.posterior import DiagonalPosterior
from vaebench.core.prior import DiagonalPrior
from vaebench.data.prepared import Arrays
from vaebench.evaluation import elbo
from vaebench.evaluation.arrays import MANIFOLD_SIDE, SAMPLES, run_arrays, to_npz
from vaebench.experiment.settings import Settings
from vaebench.models import mlp
from vaebench.numerics.streams import normal
from vaebench.objectives import OBJECTIVES
from vaebench.training.final_metrics import final_metrics
from vaebench.training.pack import Pack, init_state

CPU = torch.device("cpu")
MakeSettings = Callable[..., Settings]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_bound_is_that_of_torch_distributions(
    settings: MakeSettings, digits: Arrays, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    monkeypatch.setattr(mlp.Net, "images_at_once", 100)  # 297 test images: a block is not whole
    pack = Pack.of([settings(objective=objective, seed=s) for s in (0, 5)], digits, CPU)
    parameters = init_state(pack).parameters
    test, train = pack.evaluate(parameters, "test"), pack.evaluate(parameters, "train")
    x = torch.from_numpy(digits.test_images.copy()).flatten(1).double() / 255
    doubled = {name: tensor.detach().double() for name, tensor in parameters.items()}
    both = x.expand(2, -1, -1)
    given = pack.vae.given(doubled, both)
    posterior = pack.vae.encode(doubled, both, given)
    std = posterior.std.double().expand_as(posterior.mean)
    z = posterior.mean + std * normal([0, 5], "evaluation", "test", (297, 2), CPU).double()
    if objective.startswith("full"):
        pytest.skip("tests/unit/test_posteriors.py has the evaluation of a full covariance")
    logits = pack.vae.decode(doubled, z, given).output
    grey = Bernoulli(logits=logits, validate_args=False).log_prob(pack.vae.target(both))
    distortion = -grey.sum(-1).mean(-1)

    def rate(prior_variance: torch.Tensor) -> torch.Tensor:
        scale = prior_variance.sqrt().expand_as(posterior.mean)
        prior = Normal(torch.zeros_like(scale), scale)
        return kl_divergence(Normal(posterior.mean, std), prior).sum(-1).mean(-1)

    if OBJECTIVES[objective].prior[0] == "standard":
        assert (test.prior_variance == 1).all()
    else:
        own = (std**2 + posterior.mean**2).mean(1, keepdim=True)
        torch.testing.assert_close(test.prior_variance, own, rtol=1e-5, atol=0)
    torch.testing.assert_close(test.distortion, distortion, rtol=1e-6, atol=0)
    torch.testing.assert_close(test.rate, rate(test.prior_variance), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(test.elbo, -test.rate - test.distortion)
    frozen = -rate(train.prior_variance) - distortion
    torch.testing.assert_close(test.elbo_with_prior(train.prior), frozen, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("objective", ["learned", "constant", "bilbo"])
def test_evaluation_and_training_agree_on_the_bound(
    settings: MakeSettings, digits: Arrays, objective: str
) -> None:
    """On the whole set, the objective itself is the evaluated bound."""
    pack = Pack.of([settings(objective=objective)], digits, CPU)
    parameters = init_state(pack).parameters
    test = pack.evaluate(parameters, "test")
    torch.testing.assert_close(test.objective, test.elbo, rtol=1e-9, atol=0)


def test_the_floating_prior_is_the_best_one(settings: MakeSettings, digits: Arrays) -> None:
    pack = Pack.of([settings(objective="bilbo")], digits, CPU)
    test = pack.evaluate(init_state(pack).parameters, "test")
    for factor in (0.8, 1.25):
        other = DiagonalPrior(test.prior_variance * factor)
        assert (test.elbo_with_prior(other) < test.elbo).all()


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_baggins_is_evaluated_with_the_training_sets_scalar_variance(
    settings: MakeSettings, digits: Arrays, scale: float
) -> None:
    """Every number of the record from its definition, with torch's own densities."""
    run = settings(objective="bilbo", likelihood="baggins", tau=0.2, data_scale=scale)
    other = run.model_copy(update={"seed": 4})
    pack, network = Pack.of([run, other], digits, CPU), Pack.of([other], digits, CPU).vae.network
    state = init_state(pack)
    final = final_metrics(pack, state, digits)[1].final
    values = {}
    for which, images in (("train", digits.train_images), ("test", digits.test_images)):
        x = scale * torch.from_numpy(images.copy()).flatten(1).double() / 255
        doubled = {name: tensor.detach()[1:].double() for name, tensor in state.parameters.items()}
        mean = network.encode(doubled, x[None]).mean
        z = mean + normal([4], "evaluation", which, (len(x), 2), CPU).double()
        values[which] = (x, network.decode(doubled, z).output[0], mean[0])
    x, nu, _ = values["train"]
    variance = (x - nu).square().mean()
    x, nu, mu = values["test"]
    distortion = -Normal(nu, variance.sqrt()).log_prob(x).sum(1).mean()
    moment = mu.square().mean(0)
    rate = 0.5 * (1 + moment).log().sum()
    u = (1 + moment).sum()
    t = 0.2 * (x - nu).square().sum(1) / u
    eq_30 = -rate - 0.5 * (u / 0.2 + 784 * (2 * torch.pi * t).log().mean())
    expected = {
        "distortion": distortion,
        "rate": rate,
        "elbo": -rate - distortion,
        "elbo_data_units": -rate - distortion + 784 * math.log(scale),
        "objective": eq_30,
        "mse": (x - nu).square().mean() / scale**2,
        "information": u,
    }
    for name, value in expected.items():
        assert getattr(final.test, name) == pytest.approx(value.item(), rel=1e-5), name
    assert final.likelihood_variance == pytest.approx(variance.item(), rel=1e-5)
    x = torch.from_numpy(digits.test_images.copy()).double() / 255
    mean_image = torch.from_numpy(digits.train_images.copy()).double().mean(0) / 255
    spread = (x - mean_image).square().mean().item()
    assert final.test.mean_image_mse == pytest.approx(spread, rel=1e-5)


@pytest.mark.parametrize("likelihood", ["gaussian", "gaussian-learned", "gaussian-shared"])
def test_bounds_of_scaled_data_agree_after_m_log_lambda(
    settings: MakeSettings, digits: Arrays, likelihood: str
) -> None:
    """One density of the data, written at two scales: the same bound in units of the data."""
    runs = [
        settings(objective="bilbo", likelihood=likelihood, data_scale=scale) for scale in (1.0, 4.0)
    ]
    pack = Pack.of(runs, digits, CPU)
    state = init_state(pack)
    with torch.no_grad():
        # The second run reads and writes four times larger numbers by weights that undo the scale.
        state.parameters["encoder.hidden1.weight"][1] /= 4
        for part in ("weight", "bias"):
            state.parameters[f"decoder.output.{part}"][1] *= 4
        if likelihood == "gaussian":
            densities = pack.evaluate(state.parameters, "test")
            one, four = densities.squared_residual.mean(-1)
            assert four.item() == pytest.approx(16 * one.item(), rel=1e-5)
            return  # T = I is another density at another scale: only the residual carries over
        name = "decoder.std" if likelihood == "gaussian-learned" else "decoder.shared_std"
        for key, tensor in state.parameters.items():
            if key.startswith(name):
                for k, std in enumerate((0.3, 1.2)):
                    is_weight = key.endswith("weight")
                    tensor[k] = 0.0 if is_weight else math.log(math.expm1(std))
    one, four = (measured.final.test for measured in final_metrics(pack, state, digits))
    assert four.elbo != pytest.approx(one.elbo, rel=0.01)
    assert four.elbo_data_units == pytest.approx(one.elbo_data_units, rel=1e-4)
    assert four.mse == pytest.approx(one.mse, rel=1e-4)


def test_information_of_learned_variances_is_a_mean_over_examples(
    settings: MakeSettings, digits: Arrays
) -> None:
    pack = Pack.of([settings(objective="learned")], digits, CPU)
    test = pack.evaluate(init_state(pack).parameters, "test")
    expected = (1 / test.posterior.std.double().square()).sum(-1).mean(-1)
    torch.testing.assert_close(test.information, expected)


def test_active_units_do_not_depend_on_scale() -> None:
    mean = torch.randn(1, 500, 3, generator=torch.Generator().manual_seed(0))
    mean[..., 2] *= 1e-3
    counts = []
    for scale in (1e-3, 1.0, 1e3):
        posterior = DiagonalPosterior(scale * mean, torch.full((1, 1, 1), scale))
        prior = elbo.set_prior("floating", posterior, None)
        kl = elbo.mean_kl(posterior, prior.variance)
        nothing = torch.zeros(1, 500, dtype=torch.float64)
        evaluation = elbo.Evaluation(*(posterior, None, prior, kl, nothing, nothing, nothing[:, 0]))
        counts.append(int(evaluation.active_units[0]))
    assert counts == [2, 2, 2]


@pytest.mark.parametrize(
    ("objective", "latent_dim"), [("learned", 2), ("bilbo", 2), ("learned", 5)]
)
def test_arrays_are_small_and_what_figures_need(
    settings: MakeSettings, digits: Arrays, objective: str, latent_dim: int
) -> None:
    run = settings(objective=objective, latent_dim=latent_dim)
    pack = Pack.of([run], digits, CPU)
    parameters = init_state(pack).parameters
    train, test = (pack.evaluate(parameters, which) for which in ("train", "test"))
    (arrays,) = run_arrays(pack.vae, parameters, train, test, pack.test_images, digits.test_labels)
    assert arrays["samples"].shape == (SAMPLES, 28, 28)
    assert arrays["samples"].dtype == np.uint8
    assert ("manifold" in arrays) == (latent_dim == 2)
    if latent_dim == 2:
        assert arrays["manifold"].shape == (MANIFOLD_SIDE**2, 28, 28)
        assert arrays["posterior_mean"].shape == (297, 2)
        assert arrays["posterior_std"].shape == ((297, 2) if objective == "learned" else (1, 1))
    assert to_npz(arrays) == to_npz(arrays)
    assert len(to_npz(arrays)) < 200_000


def test_the_manifold_runs_from_left_to_right_and_from_bottom_to_top(
    settings: MakeSettings, digits: Arrays
) -> None:
    """With a decoder that writes z_1 and z_2 into two pixels, the grid can be read off."""
    pack = Pack.of([settings(hidden_layers=1, hidden_units=2)], digits, CPU)
    parameters = init_state(pack).parameters
    with torch.no_grad():
        for name in ("decoder.hidden1", "decoder.output"):
            parameters[f"{name}.weight"].zero_()
        parameters["decoder.hidden1.weight"][0] = torch.eye(2)
        parameters["decoder.hidden1.bias"][0] += 10  # keeps the ReLU open
        parameters["decoder.output.weight"][0, :, :2] = torch.eye(2)
        parameters["decoder.output.bias"][0] -= 10
    test = pack.evaluate(parameters, "test")
    (arrays,) = run_arrays(pack.vae, parameters, test, test, pack.test_images, digits.test_labels)
    pixels = arrays["manifold"].reshape(MANIFOLD_SIDE, MANIFOLD_SIDE, 784)
    assert (np.diff(pixels[:, :, 0].astype(int), axis=1) > 0).all()  # z_1 grows to the right
    assert (np.diff(pixels[:, :, 1].astype(int), axis=0) < 0).all()  # z_2 falls downwards
