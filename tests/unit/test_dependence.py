"""What depends on the input: against closed forms of linear models, and as files of runs."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from tests.linear_runs import linear_run
from tests.packs import MakeSettings, train_steps
from tests.tiers import train_tier
from tests.unit.test_evidence_density import record_with
from vaebench.core.prior import DiagonalPrior
from vaebench.data.prepared import Arrays
from vaebench.dependence.codes import active, bounds, replaced, spread
from vaebench.dependence.completion import Completion, density_or_completion
from vaebench.dependence.likelihood import likelihoods
from vaebench.dependence.method import measure
from vaebench.dependence.regression import held_out_r2
from vaebench.errors import UserError
from vaebench.evidence.gaussians import Gaussians
from vaebench.experiment.dependence import DependencePlan
from vaebench.experiment.plans import changed
from vaebench.experiment.settings import Settings
from vaebench.experiment.tier import Tier
from vaebench.models.make import make_vae
from vaebench.objectives import OBJECTIVES
from vaebench.paths import Layout
from vaebench.results.collect import collect
from vaebench.results.read import load_results
from vaebench.runs.dependence_record import DependenceRecord
from vaebench.runs.record import read_as
from vaebench.training.final_metrics import final_metrics

CPU = torch.device("cpu")
LATENT, SEEN, HIDDEN = 2, 3, 5
PREDICTIVE = [name for name, one in OBJECTIVES.items() if one.conditioning is not None]


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Linear:
    """p(z|x) = N(Bx + b, s^2 I), p(y|x, z) = N(Wz + Cx, T I), and the exact posterior as encoder.

    Images are columns of 8 pixels, of which the first 3 are observed.
    """

    def __init__(self, objective: str) -> None:
        self.weight, self.of_seen = random(1, HIDDEN, LATENT), random(2, HIDDEN, SEEN)
        self.shift, self.middle = random(3, LATENT, SEEN), random(4, LATENT)
        self.scale, self.variance = 0.6, 0.3
        settings = Settings.model_validate(
            {
                **{"dataset": "digits", "likelihood": "gaussian-shared", "objective": objective},
                **{"latent_dim": LATENT, "network": "mlp", "hidden_layers": 1, "seed": 0},
                **{"hidden_units": 2 * (SEEN + HIDDEN), "observed": "0-2x0"},
                **{"batch_size": 10, "learning_rate": 0.001, "epochs": 1},
            }
        )
        vae = make_vae([settings], (SEEN + HIDDEN, 1), CPU)
        self.has_prior = objective == "conditional"
        own = vae.network.initialise([settings], CPU)
        own = {name: torch.zeros_like(tensor).double() for name, tensor in own.items()}
        if self.has_prior:
            _linear(own, "prior", "mean", self.shift, self.middle)
            own["prior.std.bias"][:] = math.log(math.expm1(self.scale))
            by_code, by_seen, offset = self.weight, self.of_seen, torch.zeros(HIDDEN).double()
        else:
            # The same model in the coordinates of its prior: the decoder holds p(z|x).
            by_code = self.scale * self.weight
            by_seen = self.of_seen + self.weight @ self.shift
            offset = self.weight @ self.middle
        _linear(own, "decoder", "output", torch.cat([by_code, by_seen], 1), offset)
        own["decoder.shared_std"][:] = math.log(math.expm1(math.sqrt(self.variance)))
        # q in the coordinates of z that this encoder has: precision W'W/T + I/s^2.
        s = self.scale if self.has_prior else 1.0
        precision = by_code.T @ by_code / self.variance + torch.eye(LATENT) / s**2
        covariance = torch.linalg.inv(precision)
        gain = covariance @ by_code.T / self.variance
        of_prior = (
            covariance / s**2 @ self.shift if self.has_prior else torch.zeros_like(self.shift)
        )
        from_seen, constant = of_prior - gain @ by_seen, -gain @ offset
        if self.has_prior:
            constant = constant + covariance / s**2 @ self.middle
        _linear(own, "encoder", "mean", torch.cat([from_seen, gain], 1), constant)
        self.std = precision.diagonal().rsqrt()
        own["encoder.std.bias"][:] = self.std.expm1().log()
        self.density = Completion(
            vae, own, DiagonalPrior(torch.ones(1, 1, LATENT).double()), None, torch.float64
        )

    def images(self, count: int) -> Tensor:
        """Draws of y for standard normal x, side by side."""
        seen = random(5, count, SEEN)
        z = seen @ self.shift.T + self.middle + self.scale * random(6, count, LATENT)
        noise = math.sqrt(self.variance) * random(7, count, HIDDEN)
        return torch.cat([seen, z @ self.weight.T + seen @ self.of_seen.T + noise], 1)

    def log_p(self, x: Tensor) -> Tensor:
        seen = x[:, :SEEN]
        mean = (seen @ self.shift.T + self.middle) @ self.weight.T + seen @ self.of_seen.T
        covariance = self.scale**2 * self.weight @ self.weight.T
        covariance = covariance + self.variance * torch.eye(HIDDEN)
        density: Tensor = MultivariateNormal(mean, covariance).log_prob(x[:, SEEN:])
        return density


def _linear(own: dict[str, Tensor], side: str, head: str, weight: Tensor, offset: Tensor) -> None:
    """Set a side with one hidden layer to a linear map: max(0, a) - max(0, -a) = a."""
    inputs = weight.shape[1]
    both = torch.cat([torch.eye(inputs), -torch.eye(inputs)]).double()
    own[f"{side}.hidden1.weight"][0, :, : 2 * inputs] = both.T
    own[f"{side}.{head}.weight"][0, : 2 * inputs] = both @ weight.T
    own[f"{side}.{head}.bias"][0, 0] = offset


@pytest.mark.parametrize("objective", ["conditional", "conditional-standard"])
def test_conditional_log_likelihood_of_a_linear_model(objective: str) -> None:
    run = Linear(objective)
    x = run.images(40)
    q = run.density.encode(x)
    found = likelihoods(run.density, x, q, 4000, torch.Generator().manual_seed(0))
    exact = run.log_p(x)
    torch.testing.assert_close(found.by_encoder, exact, rtol=0, atol=0.05)
    assert (found.by_prior - exact).abs().median() < 0.1
    # Both rise with the number of draws, and those of the encoder are nearer.
    few = likelihoods(run.density, x, q, 25, torch.Generator().manual_seed(0))
    assert few.by_prior.mean() < few.by_encoder.mean() < exact.mean() + 0.05
    assert few.by_prior.mean() < found.by_prior.mean() < exact.mean() + 0.05
    assert found.shape_of_encoder.max() < 0.7


def test_a_prior_network_and_a_decoder_that_holds_it_are_one_model() -> None:
    """Any p(z|x) is a map of N(0, I), which a decoder that sees x can make."""
    first, second = Linear("conditional"), Linear("conditional-standard")
    x, e = random(6, 10, SEEN + HIDDEN), random(7, 3, 10, LATENT)
    torch.testing.assert_close(
        first.density.log_likelihood(x, e), second.density.log_likelihood(x, e)
    )
    q, other = first.density.encode(x), second.density.encode(x)
    torch.testing.assert_close(q.mean, other.mean)
    torch.testing.assert_close(q.std, other.std)
    prior = first.density.prior_of(x)
    assert prior is not None
    expected = x[:, :SEEN] @ first.shift.T + first.middle
    torch.testing.assert_close(prior.mean, expected)
    assert second.density.prior_of(x) is None


def test_what_replacing_sigma_costs_is_the_closed_form() -> None:
    """With a linear decoder, E log p(x|z) falls by tr(W'W dSigma)/(2 T)."""
    run = linear_run(3, 8)
    density, x = run.density, run.images(200)
    q = density.encode(x)
    wide = q.std * (0.5 + torch.rand(200, 1, generator=torch.Generator().manual_seed(1)).double())
    q = Gaussians(q.mean, wide)
    others = replaced(q)
    torch.testing.assert_close(others["std"].std[0], wide.mean(0))
    torch.testing.assert_close(others["precision"].std[7], (wide**-2).mean(0) ** -0.5)
    torch.testing.assert_close(others["mean"].mean[3], q.mean.mean(0))
    found = bounds(density, x, {"own": q, **others}, torch.Generator().manual_seed(0))
    curvature = (run.weight**2).sum(0) / run.variance
    for name, one in others.items():
        if name == "mean":
            continue
        expected = -0.5 * (curvature * (q.std**2 - one.std**2)).sum(-1)
        expected = expected - (q.kl(density.prior) - one.kl(density.prior))
        difference = found["own"] - found[name]
        assert difference.mean().item() == pytest.approx(expected.mean().item(), abs=0.05)
    assert (found["own"] - found["mean"]).mean() > 1


def test_spread_of_codes_that_are_known() -> None:
    mean = torch.tensor([[0.0, 5.0], [2.0, 5.0]])
    std = torch.tensor([[0.5, 1.0], [0.5 * math.e**2, 1.0]])
    found = spread(Gaussians(mean, std), torch.tensor([True, True]))
    assert found.of_mean.tolist() == [1.0, 0.0]
    torch.testing.assert_close(found.of_log_std.sqrt(), torch.tensor([1.0, 0.0]).double())
    expected = 1 / (1 + (0.25 + 0.25 * math.e**4) / 2)
    torch.testing.assert_close(found.share_of_mean[0].item(), expected)
    density = linear_run(2, 4).density
    idle = Gaussians(torch.zeros(5, 2), density.prior.variance.sqrt()[0].expand(5, 2))
    assert not active(density, idle).any()


def test_held_out_r2_of_codes_that_are_known() -> None:
    seen, new = random(1, 3000, 4), random(2, 2000, 4)
    weight, noise = random(3, 4, 1), [random(4, 3000, 1), random(5, 2000, 1)]
    signal = [seen @ weight, new @ weight]
    codes = [torch.cat([s + 3, s + n, n], 1) for s, n in zip(signal, noise, strict=True)]
    found = held_out_r2(seen, codes[0], new, codes[1])
    share = float(weight.square().sum() / (weight.square().sum() + 1))
    assert found.tolist() == pytest.approx([1.0, share, 0.0], abs=0.03)


def test_a_plain_network_is_exact(digits: Arrays) -> None:
    settings = Settings.model_validate(
        {
            **{"dataset": "digits", "likelihood": "bernoulli", "objective": "plain"},
            **{"latent_dim": 2, "network": "mlp", "hidden_units": 8, "hidden_layers": 1},
            **{"batch_size": 100, "learning_rate": 0.001, "epochs": 1, "seed": 0},
        }
    )
    vae = make_vae([settings], (28, 28), CPU)
    own = vae.network.initialise([settings], CPU)
    density = Completion(vae, own, DiagonalPrior(torch.ones(1, 1, 2).double()), None)
    train, test = (
        torch.from_numpy(images.reshape(len(images), -1).copy())
        for images in (digits.train_images, digits.test_images)
    )
    found, arrays = measure(density, train, test, DependencePlan(images=30, draws=25))
    np.testing.assert_allclose(arrays["log_p_is"], arrays["log_p_mc"], rtol=1e-6)
    np.testing.assert_allclose(arrays["bound"], arrays["log_p_is"], rtol=1e-6)
    assert "mean_share" not in found
    assert found["shape_is_high"] == 0


@pytest.mark.parametrize("objective", PREDICTIVE)
def test_the_mean_bound_is_that_of_the_metrics(
    objective: str, settings: MakeSettings, digits: Arrays
) -> None:
    run = settings(objective=objective, latent_scale=3.0, observed="2-quadrants", epochs=4)
    pack, state = train_steps([run], digits, 10**6)
    (measured,) = final_metrics(pack, state, digits)
    record = record_with(run=run, status="completed", final=measured.final)
    weights = {name: tensor.detach()[0] for name, tensor in state.parameters.items()}
    density = density_or_completion(record, weights, measured.arrays, CPU)
    x = density.data(torch.from_numpy(digits.test_images.reshape(-1, 784).copy()))
    q = density.encode(x)
    found = bounds(density, x, {"own": q}, torch.Generator().manual_seed(0))["own"].mean()
    assert float(found) == pytest.approx(measured.final.test.elbo, abs=0.3)
    other = x.clone()
    other[:, 14 * 28 + 20] = 1 - other[:, 14 * 28 + 20]  # a hidden pixel
    assert isinstance(density, Completion)
    before, after = density.given(x), density.given(other)
    assert torch.equal(before.seen, after.seen)
    assert (before.prior is not None) == (objective == "conditional")
    if before.prior is not None and after.prior is not None:
        assert torch.equal(before.prior.mean, after.prior.mean)


def small_tier() -> Tier:
    settings: dict[str, Any] = {
        **{"dataset": "digits", "likelihood": "bernoulli", "epochs": 3, "network": "mlp"},
        **{"hidden_units": 32, "hidden_layers": 2, "batch_size": 50, "learning_rate": 0.003},
    }
    measured = {"images": 60, "draws": 50, "regressed": 400}
    axes = {"objective": ["learned", "conditional", "conditional-standard", "plain"]}
    return Tier.model_validate(
        {
            "tier": "small",
            "experiments": [
                {
                    **{"name": "all", "settings": settings | {"latent_dim": 3}},
                    **{"axes": axes | {"seed": [0]}, "dependence": measured},
                }
            ],
            "figures": [],
        }
    )


def test_a_tier_that_measures_dependence(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier = small_tier()
    (tmp_path / "data").symlink_to(data_root)
    monkeypatch.chdir(tmp_path)
    train_tier(tier, tmp_path)
    layout = Layout(tmp_path / "results" / "small")
    collect(tier, layout)
    rows = load_results(layout.root).runs.set_index("objective")
    assert (rows["dependence_images"] == 60).all()
    assert (rows["dependence_log_p_is"] >= rows["dependence_bound"] - 0.5).all()
    loss = rows["dependence_mc_loss"]
    assert loss["plain"] == pytest.approx(0, abs=1e-3)
    assert (loss[["learned", "conditional", "conditional-standard"]] > 0).all()
    assert rows["dependence_prior_share"].notna().tolist() == [False, True, False, False]
    assert rows["dependence_code_r2"].notna().tolist() == [False, True, True, False]

    path = layout.dependence("all", "objective~plain/seed~0")
    values = json.loads(path.read_text())
    assert read_as(DependenceRecord, path, "").dependence is not None
    values["dependence"]["statistics"]["log_p_is"] = 0.0
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="vaebench dependence --tier"):
        collect(tier, layout)


def test_a_wrong_plan_is_refused() -> None:
    for key, value in (("draws", 24), ("images", 0), ("chains", 8)):
        with pytest.raises(UserError, match=f"dependence: {key}"):
            changed(DependencePlan(), {key: value})
