"""Conditional models: masks, the divergence from p(z|x), gradients, what the likelihood covers."""

from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from tests.packs import MakeSettings, train_steps
from vaebench.conditioning import Conditioning
from vaebench.core.batch import Clock
from vaebench.core.posterior import DiagonalPosterior, FullPosterior
from vaebench.core.prior import DiagonalPrior
from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.experiment.grid import Experiment, expand
from vaebench.experiment.settings import Settings
from vaebench.numerics.mask import observed_pixels, problem
from vaebench.objectives import OBJECTIVES, objective
from vaebench.training.final_metrics import final_metrics
from vaebench.training.loop import train
from vaebench.training.pack import Pack, init_state

CONDITIONAL = [name for name, one in OBJECTIVES.items() if one.conditioning is not None]
CPU = torch.device("cpu")
numbers = st.integers(0, 27)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def conditional(settings: MakeSettings) -> MakeSettings:
    """Settings of a small run that predicts hidden pixels."""

    def make(**changes: Any) -> Settings:
        return settings(**{"objective": "conditional", "latent_dim": 3} | changes)

    return make


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=4))
def test_rectangles_are_numpys_slices(corners: list[tuple[int, ...]]) -> None:
    expected = np.zeros((28, 28, 3), bool)
    areas = []
    for a, b, c, d in corners:
        top, bottom, left, right = min(a, b), max(a, b), min(c, d), max(c, d)
        expected[top : bottom + 1, left : right + 1] = True
        areas.append(f"{top}-{bottom}x{left}-{right}" if top < bottom else f"{top}x{left}-{right}")
    mask = "+".join(areas)
    assert problem(mask) is None
    for image in (expected[..., :1].squeeze(-1), expected):
        if not image.all():
            assert observed_pixels(mask, image.shape) == np.flatnonzero(image).tolist()


def test_quadrants_are_those_of_sohn_and_pyro() -> None:
    image = np.zeros((28, 28), bool)
    for name, rows, columns in (
        ("1-quadrant", slice(14, None), slice(None, 14)),
        ("2-quadrants", slice(None, 14), slice(None, 14)),
        ("3-quadrants", slice(None, 14), slice(14, None)),
    ):
        image[rows, columns] = True
        assert observed_pixels(name, (28, 28)) == np.flatnonzero(image).tolist()
    assert observed_pixels("top+left", (28, 28)) == observed_pixels(
        "0-13x0-27+14-27x0-13", (28, 28)
    )


def test_wrong_masks_are_refused(conditional: MakeSettings, digits: Arrays) -> None:
    for mask in ("", "quadrant", "1-quadrant+top", "5-3x0-1", "0x", "top,left", "-1x2"):
        with pytest.raises(ValueError, match="observed"):
            conditional(observed=mask)
    for mask, said in (("0-28x0", "not within images of 28x28"), ("top+bottom", "leaves no pixel")):
        with pytest.raises(UserError, match=said):
            Pack.of([conditional(observed=mask)], digits, CPU)


def test_conditional_runs_are_refused_where_they_have_no_meaning(settings: MakeSettings) -> None:
    with pytest.raises(ValueError, match="observed has no meaning with objective 'learned'"):
        settings(objective="learned", observed="top")
    with pytest.raises(ValueError, match="which network 'conv' cannot: use one of mlp"):
        settings(objective="plain", network="conv", hidden_units=None, hidden_layers=None)
    given = {k: v for k, v in settings(objective="plain").given().items() if k != "seed"}
    for key in ("evidence", "equations", "sample_quality", "latent"):
        with pytest.raises(ValueError, match=f"{key}: objective 'plain' predicts hidden pixels"):
            Experiment.model_validate(
                {"name": "one", "settings": given, "axes": {"seed": [0]}, key: True}
            )
    with pytest.raises(ValueError, match="only the decoder sees"):
        Conditioning(prior=True, decoder=True, latent=False)
    with pytest.raises(UserError, match='write prior="standard"'):
        objective(name="floats", prior="floating", conditioning=Conditioning(prior=True))(
            lambda batch: batch.kl
        )


def test_the_mask_is_a_setting_of_conditional_runs_alone(settings: MakeSettings) -> None:
    shared = {k: v for k, v in settings(objective="learned").given().items() if k != "objective"}
    experiment = Experiment.model_validate(
        {
            "name": "one",
            "settings": {k: v for k, v in shared.items() if k != "seed"} | {"observed": "left"},
            "axes": {"objective": ["learned", "conditional"], "seed": [0]},
        }
    )
    learned, other = (cell.runs[0].settings for cell in expand(experiment))
    assert learned == settings(objective="learned")
    assert (learned.get("observed"), other.get("observed")) == (None, "left")
    assert other.digest != settings(objective="conditional").digest


@given(st.integers(0, 99))
def test_the_divergence_from_a_prior_is_torchs(seed: int) -> None:
    mean, other = normal(seed, 2, 5, 3), normal(seed + 1, 2, 5, 3)
    std, scale = 0.05 + normal(seed + 2, 2, 5, 3).abs(), 0.05 + normal(seed + 3, 2, 5, 3).abs()
    prior, standard = DiagonalPosterior(other, scale), DiagonalPrior(torch.ones(2, 1, 3).double())
    found = standard.kl(DiagonalPosterior(mean, std).relative_to(prior))
    expected = kl_divergence(Normal(mean, std), Normal(other, scale)).sum(-1)
    torch.testing.assert_close(found, expected)
    factor = torch.diag_embed(std) + normal(seed + 4, 2, 5, 3, 3).tril(-1)
    found = standard.kl(FullPosterior(mean, factor).relative_to(prior))
    full = MultivariateNormal(other, scale_tril=torch.diag_embed(scale))
    expected = kl_divergence(MultivariateNormal(mean, scale_tril=factor), full)
    torch.testing.assert_close(found, expected)


def layers(own: dict[str, Tensor], side: str, values: Tensor, *heads: str) -> list[Tensor]:
    """The layers of a network of one run, written out."""
    for k in (1, 2):
        name = f"{side}.hidden{k}"
        values = (values @ own[f"{name}.weight"] + own[f"{name}.bias"]).relu()
    return [values @ own[f"{side}.{head}.weight"] + own[f"{side}.{head}.bias"] for head in heads]


@pytest.mark.parametrize("name", CONDITIONAL)
def test_bound_and_gradients_written_out_in_float64(
    conditional: MakeSettings, digits: Arrays, name: str
) -> None:
    run = conditional(objective=name, observed="top-left+20-22x7", latent_scale=2.0, hidden_units=7)
    assert run.get("hidden_layers") == 2
    pack = Pack.of([run], digits, CPU)
    own = {key: tensor.double() for key, tensor in init_state(pack).parameters.items()}
    own = {key: (t + 0.01).detach().requires_grad_() for key, t in own.items()}
    x = torch.from_numpy(digits.train_images[:6].reshape(6, -1) / 255.0)[None]
    noise, c, n = normal(0, 1, 6, 3), 2.0, 3
    seen = np.zeros((28, 28), bool)
    seen[:14, :14] = seen[20:23, 7] = True
    observed, hidden = x[..., seen.reshape(-1)], x[..., ~seen.reshape(-1)]

    parts = OBJECTIVES[name].conditioning
    assert parts is not None
    m, s = torch.zeros(1, 6, n).double(), torch.ones(1, 6, n).double()
    if parts.prior:
        m, raw = layers(own, "prior", observed, "mean", "std")
        m, s = c * m, c * softplus(raw)
    kl, inputs = torch.zeros(1, 6).double(), []
    if parts.latent:
        mean, raw = layers(own, "encoder", x, "mean", "std")
        mean, std = c * mean, c * softplus(raw)
        kl = kl_divergence(Normal(mean, std), Normal(m, s)).sum(-1)
        inputs.append((mean + std * noise) / c)
    if parts.decoder:
        inputs.append(observed)
    (logits,) = layers(own, "decoder", torch.cat(inputs, -1), "output")
    likelihood = -binary_cross_entropy_with_logits(logits, hidden, reduction="none").sum(-1)
    expected = (likelihood - kl).mean(-1)

    batch = pack.vae.batch(own, x, noise, 100, Clock(0, 10, 5))
    found = pack.vae.value(batch)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(batch.kl, kl)
    parameters = list(own.values())
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), parameters),
        torch.autograd.grad(expected.sum(), parameters),
    )


@pytest.mark.parametrize("name", CONDITIONAL)
def test_gradients_against_finite_differences(conditional: MakeSettings, name: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 4), np.uint8)
    small = Arrays(images, np.zeros(4, np.uint8), images, np.zeros(4, np.uint8))
    pack = Pack.of([conditional(objective=name, hidden_units=3, latent_dim=2)], small, CPU)
    start = {key: t.detach().double() for key, t in init_state(pack).parameters.items()}
    x = torch.from_numpy(images[:2].reshape(2, -1) / 255.0)[None]
    noise = normal(0, 1, 2, 2)

    def value(*tensors: Tensor) -> Tensor:
        own = dict(zip(start, tensors, strict=True))
        return pack.vae.value(pack.vae.batch(own, x, noise, 100, Clock(0, 10, 5)))

    # Away from 0, where a rectified unit has no derivative.
    tensors = [(t + 0.05).requires_grad_() for t in start.values()]
    assert torch.autograd.gradcheck(value, tensors)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_packed_is_alone_and_resumed_is_uninterrupted_to_the_bit(
    conditional: MakeSettings, digits: Arrays, name: str
) -> None:
    runs = [conditional(objective=name, seed=seed, observed="2-quadrants") for seed in (3, 1)]
    _, packed = train_steps(runs, digits, 25)
    for k, run in enumerate(runs):
        pack = Pack.of([run], digits, CPU)
        state, asked = init_state(pack), count(1)
        train(pack, state, lambda asked=asked: next(asked) >= 7, lambda _: None)  # type: ignore[misc]
        assert state.step == 7
        asked = count(8)
        train(pack, state, lambda asked=asked: next(asked) >= 25, lambda _: None)  # type: ignore[misc]
        for key, tensor in state.parameters.items():
            assert torch.equal(packed.parameters[key][k], tensor[0]), key


def test_several_draws_of_z_are_completed_each(
    conditional: MakeSettings, digits: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OBJECTIVES, "drawn", OBJECTIVES["conditional"])
    del OBJECTIVES["drawn"]

    @objective(name="drawn", samples=3, conditioning=Conditioning(prior=True, decoder=True))
    def drawn(batch: Any) -> Tensor:
        weights: Tensor = batch.log_likelihood + batch.log_prior - batch.log_posterior
        return weights.mean((1, 2))

    pack = Pack.of([conditional(objective="drawn")], digits, CPU)
    state = init_state(pack)
    x = torch.from_numpy(digits.train_images[:4].reshape(4, -1) / 255.0).float()[None]
    noise = normal(1, 1, 12, 3).float()
    batch = pack.vae.batch(state.parameters, x, noise, 100, Clock(0, 10, 5))
    for draw in range(3):
        one = pack.vae.forward(state.parameters, x, noise[:, 4 * draw : 4 * draw + 4])[1]
        alone = pack.vae.likelihood.log_likelihood
        assert alone is not None
        torch.testing.assert_close(
            batch.log_likelihood[:, draw], alone(pack.vae.target(x), one), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("name", CONDITIONAL)
def test_what_a_run_leaves(conditional: MakeSettings, digits: Arrays, name: str) -> None:
    pack, state = train_steps(
        [conditional(objective=name, latent_dim=2, epochs=60, learning_rate=0.01)], digits, 10**6
    )
    (measured,) = final_metrics(pack, state, digits)
    test, arrays = measured.final.test, measured.arrays
    assert test.objective == pytest.approx(test.elbo, rel=1e-6)
    seen = arrays["observed"]
    assert seen.sum() == 196
    flat = digits.test_images.reshape(len(digits.test_images), -1)
    done = arrays["completions"].reshape(10, 4, 784)
    assert (done[:, :, seen] == flat[:10, None, seen]).all()
    differs = (done[:, :1] != done[:, 1:]).any()
    assert differs == (name != "plain")
    assert (arrays["samples"].reshape(-1, 784)[:, seen] == flat[:32, seen]).all()
    mean = (digits.train_images.reshape(-1, 784) / 255).mean(0)
    expected = ((flat / 255 - mean)[:, ~seen] ** 2).mean()
    assert test.mean_image_mse == pytest.approx(expected, rel=1e-6)
    assert test.mse is not None
    assert test.mse < test.mean_image_mse
