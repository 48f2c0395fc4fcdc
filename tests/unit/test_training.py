"""The stacked loop: packed as alone, paired by seed, runs kept apart."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.packs import train_steps
from vaebench.core.batch import Batch, Clock
from vaebench.core.network import Parameters
from vaebench.core.vae import VAE
from vaebench.data.prepared import Arrays
from vaebench.experiment.settings import Settings
from vaebench.likelihoods import LIKELIHOODS
from vaebench.models import mlp
from vaebench.numerics.adam import Moments, adam_step
from vaebench.numerics.streams import normal, order
from vaebench.objectives import OBJECTIVES
from vaebench.training import step as step_module
from vaebench.training.loop import is_recorded, step_size, train
from vaebench.training.pack import Pack, TrainingState, init_state
from vaebench.training.step import batch_of

CPU = torch.device("cpu")
MakeSettings = Callable[..., Settings]


def assert_runs_close(stacked: TrainingState, k: int, alone: TrainingState) -> None:
    for name, tensor in alone.parameters.items():
        torch.testing.assert_close(
            stacked.parameters[name][k], tensor[0], rtol=1e-4, atol=1e-5, msg=name
        )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_packed_equals_alone_after_20_steps(
    settings: MakeSettings, digits: Arrays, objective: str
) -> None:
    runs = [settings(objective=objective, seed=seed) for seed in (3, 1, 4)]
    pack, packed = train_steps(runs, digits, 20)
    assert packed.step == 20
    for k, run in enumerate(runs):
        alone_pack, alone = train_steps([run], digits, 20)
        assert_runs_close(packed, k, alone)
        together, apart = (
            pack.evaluate(packed.parameters, "test"),
            alone_pack.evaluate(alone.parameters, "test"),
        )
        assert together.elbo[k].item() == pytest.approx(apart.elbo[0].item(), rel=1e-4)


def test_each_run_of_a_pack_has_its_own_numeric_settings(
    settings: MakeSettings, digits: Arrays
) -> None:
    runs = [
        settings(
            objective="bilbo",
            likelihood="baggins",
            posterior_std=std,
            latent_scale=c,
            data_scale=scale,
            tau=tau,
        )
        for std, c, scale, tau in (
            (1.0, 1.0, 1.0, 1.0),
            (0.3, 1.0, 3.0, 0.2),
            (1.0, 3.0, 0.5, 0.5),
        )
    ]
    _, packed = train_steps(runs, digits, 20)
    for k, run in enumerate(runs):
        assert_runs_close(packed, k, train_steps([run], digits, 20)[1])


def test_a_seed_pairs_objectives(settings: MakeSettings, digits: Arrays) -> None:
    """The same initial weights where shapes agree, the same data order and noise."""
    states = {
        name: init_state(Pack.of([settings(objective=name)], digits, CPU)) for name in OBJECTIVES
    }
    learned, bilbo = states["learned"].parameters, states["bilbo"].parameters
    assert set(learned) - set(bilbo) == {"encoder.std.weight", "encoder.std.bias"}
    for name, tensor in bilbo.items():
        assert torch.equal(tensor, learned[name]), name
    other = init_state(Pack.of([settings(seed=1)], digits, CPU)).parameters
    assert not torch.equal(other["encoder.hidden1.weight"], learned["encoder.hidden1.weight"])


def test_a_seed_pairs_data_order_and_noise(
    settings: MakeSettings, digits: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in OBJECTIVES}

    def noting(
        pack: Pack, parameters: Parameters, pixels: Tensor, noise: Tensor, done: int
    ) -> Batch:
        batch = batch_of(pack, parameters, pixels, noise, done)
        seen[pack.vae.objective.name].append((batch.x, noise[:, : pixels.shape[1]]))
        return batch

    monkeypatch.setattr(step_module, "batch_of", noting)
    for name in OBJECTIVES:
        train_steps(
            [settings(objective=name, seed=2), settings(objective=name, seed=5)], digits, 20
        )
    for name in OBJECTIVES:
        assert len(seen[name]) == 40
        for (x, noise), (other_x, other_noise) in zip(seen[name], seen["learned"], strict=True):
            assert torch.equal(x, other_x)
            assert torch.equal(noise, other_noise)
    (x, noise), (other_x, other_noise) = seen["learned"][:2]
    assert not torch.equal(x, other_x)
    assert not torch.equal(noise, other_noise)


def test_streams_depend_on_seed_purpose_and_index_alone() -> None:
    assert torch.equal(order([7], 3, 50)[0], order([1, 7], 3, 50)[1])
    assert sorted(order([7], 3, 50)[0].tolist()) == list(range(50))
    draws = [
        normal([seed], purpose, index, (5,), CPU)
        for seed in (0, 1)
        for purpose in ("noise", "evaluation")
        for index in (0, 1)
    ]
    assert len({tuple(draw.flatten().tolist()) for draw in draws}) == len(draws)
    assert torch.equal(
        normal([0, 1], "noise", 0, (5,), CPU)[1], normal([1], "noise", 0, (5,), CPU)[0]
    )


def test_initial_weights_are_glorot_uniform(settings: MakeSettings, digits: Arrays) -> None:
    parameters = init_state(Pack.of([settings(hidden_units=200)], digits, CPU)).parameters
    for name, tensor in parameters.items():
        if name.endswith("bias"):
            assert not tensor.any()
            continue
        _, inputs, outputs = tensor.shape
        limit = (6 / (inputs + outputs)) ** 0.5
        assert tensor.abs().max() <= limit
        if inputs * outputs > 10_000:
            assert tensor.std().item() == pytest.approx(limit / 3**0.5, rel=0.02)


def test_the_paper_network_has_its_sizes(settings: MakeSettings, digits: Arrays) -> None:
    run = settings(objective="bilbo", hidden_units=200, hidden_layers=3)
    network = Pack.of([run], digits, CPU).vae.network
    assert isinstance(network, mlp.Net)
    layers = network.shapes()
    assert list(layers.values()) == [
        (784, 200), (200, 200), (200, 200), (200, 2),
        (2, 200), (200, 200), (200, 200), (200, 784),
    ]  # fmt: skip


def test_latent_scale_multiplies_codes_and_divides_the_decoders_input(
    settings: MakeSettings, digits: Arrays
) -> None:
    x = torch.rand(1, 5, 784)
    pack = Pack.of([settings()], digits, CPU)
    parameters = init_state(pack).parameters
    plain = pack.vae.network
    scaled = Pack.of([settings(latent_scale=3.0)], digits, CPU).vae.network
    a, b = plain.encode(parameters, x), scaled.encode(parameters, x)
    torch.testing.assert_close(b.mean, 3 * a.mean)
    torch.testing.assert_close(b.std, 3 * a.std)
    torch.testing.assert_close(
        scaled.decode(parameters, b.mean).output, plain.decode(parameters, a.mean).output
    )


def test_one_step_is_adams_on_the_objective(settings: MakeSettings, digits: Arrays) -> None:
    """The first step written out plainly: forward, gradient, Adam's update."""
    run = settings(objective="learned", hidden_layers=1)
    pack = Pack.of([run], digits, CPU)
    before = {
        k: v.detach()[0].clone().requires_grad_() for k, v in init_state(pack).parameters.items()
    }
    rows = order([0], 0, 1500)[0][:100]
    x = torch.from_numpy(digits.train_images.copy()).flatten(1)[rows].float() / 255
    noise = normal([0], "noise", 0, (1500, 2), CPU)[0][:100]

    def layer(name: str, values: Tensor) -> Tensor:
        return values @ before[f"{name}.weight"] + before[f"{name}.bias"]

    hidden = layer("encoder.hidden1", x).relu()
    mean = layer("encoder.mean", hidden)
    std = torch.nn.functional.softplus(layer("encoder.std", hidden))
    logits = layer("decoder.output", layer("decoder.hidden1", mean + std * noise).relu())
    reconstruction = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, x, reduction="sum"
    )
    kl = 0.5 * (mean**2 + std**2 - 1 - 2 * std.log()).sum()
    ((reconstruction + kl) / 100).backward()
    _, state = train_steps([run], digits, 1)
    for name, tensor in before.items():
        gradient = tensor.grad
        assert gradient is not None
        # Adam's first step: moments equal the gradient and its square after bias correction.
        expected = tensor.detach() - 0.001 * gradient / (gradient.abs() + 1e-8)
        settled = gradient.abs() > 1e-5
        torch.testing.assert_close(
            state.parameters[name][0].detach()[settled], expected[settled], rtol=1e-3, atol=1e-5
        )


def test_adam_is_torchs() -> None:
    generator = torch.Generator().manual_seed(0)
    ours = [torch.randn(3, 4, 5, generator=generator), torch.randn(3, 1, 5, generator=generator)]
    theirs = [tensor.clone().requires_grad_() for tensor in ours]
    moments, reference = Moments.zero(ours), torch.optim.Adam(theirs, lr=0.003, fused=True)
    for _ in range(10):
        gradients = [torch.randn(t.shape, generator=generator) for t in ours]
        adam_step(ours, gradients, moments, 0.003)
        for tensor, gradient in zip(theirs, gradients, strict=True):
            tensor.grad = -gradient
        reference.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b.detach())


def test_a_run_that_diverges_leaves_its_neighbours_bit_equal(
    settings: MakeSettings, digits: Arrays
) -> None:
    def pack_with(middle: float) -> TrainingState:
        runs = [
            settings(objective="bilbo", seed=k, latent_scale=c)
            for k, c in enumerate((1.0, middle, 1.0))
        ]
        return train_steps(runs, digits, 30)[1]

    healthy, poisoned = pack_with(1.0), pack_with(1e30)
    assert healthy.diverged == [None, None, None]
    assert poisoned.diverged == [None, 1, None]
    for name, tensor in healthy.parameters.items():
        for k in (0, 2):
            assert torch.equal(tensor[k], poisoned.parameters[name][k]), name


def test_a_learned_variance_that_diverges_leaves_its_neighbours_bit_equal(
    settings: MakeSettings, digits: Arrays
) -> None:
    def pack_with(middle: float) -> TrainingState:
        runs = [
            settings(objective="bilbo", likelihood="gaussian-learned", seed=k, data_scale=scale)
            for k, scale in enumerate((1.0, middle, 1.0))
        ]
        return train_steps(runs, digits, 30)[1]

    healthy, poisoned = pack_with(1.0), pack_with(1e25)
    assert healthy.diverged == [None, None, None]
    assert poisoned.diverged[1] is not None
    assert [poisoned.diverged[0], poisoned.diverged[2]] == [None, None]
    for name, tensor in healthy.parameters.items():
        for k in (0, 2):
            assert torch.equal(tensor[k], poisoned.parameters[name][k]), name


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_likelihood_trains_packed_as_alone(
    settings: MakeSettings, digits: Arrays, likelihood: str
) -> None:
    tau = {"tau": 0.5} if "tau" in LIKELIHOODS[likelihood].parameters else {}
    runs = [settings(objective="bilbo", likelihood=likelihood, seed=seed, **tau) for seed in (3, 1)]
    pack, packed = train_steps(runs, digits, 20)
    for k, run in enumerate(runs):
        assert_runs_close(packed, k, train_steps([run], digits, 20)[1])
    names = set(packed.parameters)
    assert ("decoder.std.weight" in names) == (LIKELIHOODS[likelihood].std == "pixel")
    assert ("decoder.shared_std" in names) == (LIKELIHOODS[likelihood].std == "shared")
    assert all(pack.evaluate(packed.parameters, "test").objective.isfinite())


def test_the_step_of_divergence_is_recorded(settings: MakeSettings, digits: Arrays) -> None:
    pack = Pack.of([settings(epochs=3)] * 2, digits, CPU)
    state = init_state(pack)

    asked = count(1)

    def poison_after_17_steps() -> bool:
        if next(asked) == 17:
            with torch.no_grad():
                state.parameters["decoder.output.bias"][1] = torch.nan
        return False

    train(pack, state, poison_after_17_steps, lambda _: None)
    assert state.diverged == [None, 18]
    assert state.history[1][-1].elbo is None
    assert state.history[0][-1].elbo is not None


def test_the_history_has_epochs_1_to_10_every_fifth_and_the_last(
    settings: MakeSettings, digits: Arrays
) -> None:
    assert [e for e in range(1, 24) if is_recorded(settings(epochs=23), e)] == [
        *range(1, 11),
        15,
        20,
        23,
    ]
    pack = Pack.of([settings(epochs=12, batch_size=500)], digits, CPU)
    state = init_state(pack)
    assert train(pack, state, lambda: False, lambda _: None)
    assert [point.epoch for point in state.history[0]] == [*range(1, 11), 12]
    last = state.history[0][-1]
    assert last.elbo == pytest.approx(-(last.rate or 0) - (last.distortion or 0))


def test_training_counted_in_steps_takes_the_steps_of_epochs(
    settings: MakeSettings, digits: Arrays
) -> None:
    """37 steps of 15 an epoch: the same batches and noise, whatever is evaluated in between."""
    pack = Pack.of([settings(epochs=None, steps=37)], digits, CPU)
    state = init_state(pack)
    intervals: list[int] = []
    assert train(pack, state, lambda: False, intervals.append)
    assert state.step == pack.steps == 37
    assert (pack.eval_interval, pack.evaluations) == (1, 37)
    assert intervals == list(range(1, 38))
    _, by_epochs = train_steps([settings(epochs=3)], digits, 37)
    for name, tensor in by_epochs.parameters.items():
        assert torch.equal(tensor, state.parameters[name]), name


def test_steps_are_evaluated_at_every_twentieth_and_at_the_end(
    settings: MakeSettings, digits: Arrays
) -> None:
    pack = Pack.of([settings(epochs=None, steps=50)], digits, CPU)
    state = init_state(pack)
    assert train(pack, state, lambda: False, lambda _: None)
    assert [point.step for point in state.history[0]] == [*range(2, 51, 2)]
    assert {point.epoch for point in state.history[0]} == {None}
    odd = Pack.of([settings(epochs=None, steps=59)], digits, CPU)
    state = init_state(odd)
    assert train(odd, state, lambda: False, lambda _: None)
    assert [point.step for point in state.history[0]][-2:] == [58, 59]


def test_the_step_size_is_constant_and_then_half_a_cosine(settings: MakeSettings) -> None:
    constant = settings(epochs=None, steps=1000)
    falling = settings(epochs=None, steps=1000, schedule="constant-cosine")
    assert {step_size(constant, step, 1000) for step in range(1000)} == {0.001}
    assert {step_size(falling, step, 1000) for step in range(801)} == {0.001}
    assert step_size(falling, 900, 1000) == pytest.approx(0.0005)
    assert step_size(falling, 850, 1000) == pytest.approx(0.001 * (2 + 2**0.5) / 4)
    assert step_size(falling, 1000, 1000) == pytest.approx(0)


def test_the_step_size_reaches_the_optimiser(
    settings: MakeSettings, digits: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    def noting(*values: Any) -> None:
        rates.append(values[-1])
        adam_step(*values)

    monkeypatch.setattr("vaebench.training.step.adam_step", noting)
    run = settings(epochs=None, steps=40, schedule="constant-cosine")
    train_steps([run], digits, 40)
    assert rates == [step_size(run, step, 40) for step in range(40)]
    assert rates[-1] < rates[32] == 0.001


def test_a_remainder_of_the_training_set_is_left_for_another_epoch(
    settings: MakeSettings, digits: Arrays
) -> None:
    pack = Pack.of([settings(batch_size=400)], digits, CPU)
    assert pack.steps_per_epoch == 3
    assert pack.steps == 6


def test_training_raises_the_bound(settings: MakeSettings, digits: Arrays) -> None:
    for objective in OBJECTIVES:
        pack, state = train_steps([settings(objective=objective, epochs=20)], digits, 10_000)
        first, last = state.history[0][0].elbo, state.history[0][-1].elbo
        assert first is not None
        assert last is not None
        assert last > first + 20
        assert pack.vae.objective.name == objective


def test_bound_of_a_pack_of_two_scales_is_that_of_scaled_data(
    settings: MakeSettings, digits: Arrays
) -> None:
    run = settings(likelihood="gaussian", objective="bilbo", data_scale=2.0)
    pack = Pack.of([run], digits, CPU)
    vae = pack.vae
    unit = replace(vae, data_scale=None)
    parameters = init_state(pack).parameters
    pixels = torch.rand(1, 4, 784)
    noise = torch.zeros(1, 4, 2)

    def value(model: VAE, x: Tensor) -> Tensor:
        return model.value(model.batch(parameters, x, noise, 4, Clock(0, 1, 1)))

    torch.testing.assert_close(value(vae, vae.to_data(pixels)), value(unit, 2 * pixels))
