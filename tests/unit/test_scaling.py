"""Fig. 8: of a constant std and the factor c on the codes, only the ratio matters."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.packs import MakeSettings, train_steps
from vaebench.core.batch import Clock
from vaebench.data.prepared import Arrays
from vaebench.experiment.settings import Settings
from vaebench.results.ratio import ROUNDING, with_ratio
from vaebench.training.pack import Pack, init_state

LATENT = 3
LIKELIHOODS: list[dict[str, Any]] = [
    {"likelihood": "bernoulli"},
    {"likelihood": "gaussian-learned"},
    {"likelihood": "baggins", "tau": 0.2},
]


@pytest.fixture
def in_float64() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def value_and_gradients(run: Settings, data: Arrays) -> tuple[float, dict[str, Tensor]]:
    """The objective of a run on 20 images in the default dtype, and its gradient.

    The weights are the initial ones with something added to them, so that no bias is 0.
    """
    dtype = torch.get_default_dtype()
    pack = Pack.of([run], data, torch.device("cpu"))
    generator = torch.Generator().manual_seed(1)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    parameters = {
        name: (value.detach().to(dtype) + 0.05 * drawn(*value.shape)).requires_grad_()
        for name, value in init_state(pack).parameters.items()
    }
    images = pack.train_images[None, :20].to(dtype) / 255
    clock = Clock(step=1, steps=10, steps_per_epoch=5)
    vae = pack.vae
    batch = vae.batch(parameters, vae.to_data(images), drawn(1, 20, LATENT), 100, clock)
    value = vae.value(batch)
    gradients = torch.autograd.grad(value.sum(), list(parameters.values()))
    return value.item(), dict(zip(parameters, gradients, strict=True))


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("objective", ["bilbo", "constant"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(("std", "scale"), [(1.0, 0.1), (0.316, 10.0), (10.0, 3.16), (0.7, 0.7)])
def test_value_and_gradient_are_those_of_the_ratio(
    settings: MakeSettings, digits: Arrays, objective: str, likelihood: dict[str, Any], std: float,
    scale: float,
) -> None:  # fmt: skip
    common = {"objective": objective, "latent_dim": LATENT} | likelihood
    run = settings(**common, posterior_std=std, latent_scale=scale)
    of_ratio = settings(**common, posterior_std=std / scale)
    value, gradients = value_and_gradients(run, digits)
    expected, wanted = value_and_gradients(of_ratio, digits)
    assert value == pytest.approx(expected, rel=1e-13)
    for name, gradient in wanted.items():
        assert gradient.norm() > 0
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-9, atol=1e-13)
    # Another ratio has another value.
    other, _ = value_and_gradients(settings(**common, posterior_std=1.01 * std / scale), digits)
    assert abs(other - expected) > 1e-6 * abs(expected)


@pytest.mark.parametrize("objective", ["bilbo", "constant"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_runs_are_equal_to_the_bit_where_c_is_a_power_of_two(
    settings: MakeSettings, digits: Arrays, objective: str, likelihood: dict[str, Any]
) -> None:
    pairs = [(0.3, 1.0), (1.2, 4.0), (0.3 / 64, 1 / 64), (0.3, 0.5)]
    runs = [
        settings(objective=objective, **likelihood, posterior_std=std, latent_scale=scale)
        for std, scale in pairs
    ]
    _, state = train_steps(runs, digits, 20)
    for name, tensor in state.parameters.items():
        for same in (1, 2):
            assert torch.equal(tensor[0], tensor[same]), name
    assert not torch.equal(state.parameters["encoder.mean.weight"][0],
                           state.parameters["encoder.mean.weight"][3])  # fmt: skip
    assert state.history[0] == state.history[1] == state.history[2]


@pytest.mark.usefixtures("in_float64")
def test_learned_variances_have_no_such_identity(settings: MakeSettings, digits: Arrays) -> None:
    """Their stds are c times what the encoder starts at, and the prior is N(0, I) at every c."""
    (first, gradients), (second, others) = (
        value_and_gradients(settings(latent_dim=LATENT, latent_scale=scale), digits)
        for scale in (1.0, 4.0)
    )
    assert abs(first - second) > 1
    name = "encoder.mean.weight"
    assert (gradients[name] - others[name]).norm() > 0.1 * gradients[name].norm()


def test_the_run_that_stands_for_a_pair() -> None:
    lattice = [0.01, 0.0316, 0.1, 0.316, 1.0, 3.16, 10.0, 31.6, 100.0]
    panels = lattice[2:7]
    for std in panels:
        for scale in panels:
            found = with_ratio(lattice, std, scale)
            assert found is not None
            assert found == pytest.approx(std / scale, rel=ROUNDING)
            steps = panels.index(std) - panels.index(scale)
            assert found == lattice[lattice.index(1.0) + steps]
    assert with_ratio(lattice, 1.0, 5.0) is None
    assert with_ratio([0.99], 1.0, 1.0) is None
    assert with_ratio([], 1.0, 1.0) is None
