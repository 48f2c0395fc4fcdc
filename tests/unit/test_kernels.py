"""The fast forms of dense layers and of the Bernoulli likelihood, against float64."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from vaebench.numerics import kernels
from vaebench.numerics.kernels import NARROW, Layer, bernoulli_log_likelihood, dense


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def draw_layers(runs: int, sizes: list[int], heads: list[int]) -> tuple[list[Layer], list[Layer]]:
    """Hidden layers between the sizes, then heads of the last."""
    shapes = [*pairwise(sizes), *((sizes[-1], head) for head in heads)]
    layers = [
        (0.3 * draw(runs, inputs, outputs, seed=k), draw(runs, 1, outputs, seed=k + 10))
        for k, (inputs, outputs) in enumerate(shapes)
    ]
    return layers[: len(sizes) - 1], layers[len(sizes) - 1 :]


def in_float64(values: Tensor, hidden: list[Layer], heads: list[Layer]) -> list[Tensor]:
    for weight, bias in hidden:
        values = torch.relu(values @ weight + bias)
    return [values @ weight + bias for weight, bias in heads]


def gradients(outputs: list[Tensor], upstream: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    total = sum((one * by).sum() for one, by in zip(outputs, upstream, strict=True))
    assert isinstance(total, Tensor)
    return list(torch.autograd.grad(total, inputs))


@settings(max_examples=40, deadline=None)
@given(
    runs=st.integers(1, 3),
    batch=st.integers(1, 40),
    sizes=st.lists(st.integers(1, 3 * NARROW), min_size=1, max_size=4),
    heads=st.lists(st.integers(1, 3 * NARROW), min_size=1, max_size=3),
    wants_input=st.booleans(),
)
def test_dense_layers_and_their_gradients(
    runs: int, batch: int, sizes: list[int], heads: list[int], wants_input: bool
) -> None:
    values, (hidden, last) = draw(runs, batch, sizes[0]), draw_layers(runs, sizes, heads)
    inputs = [tensor.requires_grad_() for layer in [*hidden, *last] for tensor in layer]
    if wants_input:
        inputs.append(values.requires_grad_())
    double: dict[int, Tensor] = {
        id(one): one.detach().double().requires_grad_() for one in [*inputs, values]
    }

    def widened(layers: list[Layer]) -> list[Layer]:
        return [(double[id(weight)], double[id(bias)]) for weight, bias in layers]

    ours = dense(values, hidden, last)
    exact = in_float64(double[id(values)], widened(hidden), widened(last))
    for got, wanted in zip(ours, exact, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-4, atol=1e-4)
    upstream = [draw(*one.shape, seed=k + 20) for k, one in enumerate(ours)]
    found = gradients(ours, upstream, inputs)
    wanted_all = gradients(
        exact, [one.double() for one in upstream], [double[id(one)] for one in inputs]
    )
    for got, wanted in zip(found, wanted_all, strict=True):
        # A number that rounding puts on the other side of 0 changes a few entries by one product.
        off = (got.double() - wanted).abs() > 1e-3 * (1 + wanted.abs())
        assert off.double().mean() <= 0.02


def test_dense_layers_without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    values, (hidden, heads) = draw(3, 5, 20), draw_layers(3, [20, 30, 2, 17], [4, 20])
    fast = dense(values, hidden, heads)
    monkeypatch.setattr(kernels, "has_onednn", lambda: False)
    for one, other in zip(fast, dense(values, hidden, heads), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_dense_layers_take_values_and_gradients_in_any_layout() -> None:
    """Evaluation shows the same images to all runs; the gradient of a sum is one number."""
    one = draw(1, 5, 20).expand(3, -1, -1)
    _, heads = draw_layers(3, [20], [30])
    weight = heads[0][0].requires_grad_()
    (outputs,) = dense(one, [], heads)
    torch.testing.assert_close(outputs, in_float64(one, [], heads)[0], rtol=1e-5, atol=1e-5)
    (found,) = torch.autograd.grad(outputs.sum(), weight)
    torch.testing.assert_close(found, one.sum(1)[..., None].expand(-1, -1, 30))


@pytest.mark.skipif(not kernels.has_onednn(), reason="PyTorch has no oneDNN for this processor")
def test_a_run_is_the_same_alone_and_among_others() -> None:
    values, (hidden, heads) = draw(4, 30, 50), draw_layers(4, [50, 40], [20, 3])

    def alone(layers: list[Layer]) -> list[Layer]:
        return [(weight[2:3], bias[2:3]) for weight, bias in layers]

    together = dense(values, hidden, heads)
    for stacked, single in zip(
        together, dense(values[2:3], alone(hidden), alone(heads)), strict=True
    ):
        assert torch.equal(stacked[2:3], single)


@pytest.mark.parametrize("scale", [0.1, 1, 10, 100, 1000])
@pytest.mark.parametrize("pixels", [784, 64, 97, 1])
def test_the_bernoulli_log_likelihood_and_its_gradient(scale: float, pixels: int) -> None:
    logits = (scale * draw(2, 30, pixels)).requires_grad_()
    x = draw(2, 30, pixels, seed=1).sigmoid()
    x[:, :10] = x[:, :10].round()
    exact_logits = logits.detach().double().requires_grad_()
    exact = -binary_cross_entropy_with_logits(exact_logits, x.double(), reduction="none").sum(-1)
    ours = bernoulli_log_likelihood(x, logits)
    torch.testing.assert_close(ours.double(), exact, rtol=2e-6, atol=1e-6)
    upstream = draw(2, 30, seed=2)
    (got,) = gradients([ours], [upstream], [logits])
    (wanted,) = gradients([exact], [upstream.double()], [exact_logits])
    torch.testing.assert_close(got.double(), wanted, rtol=1e-5, atol=1e-6)


def test_a_diverged_bernoulli_says_so() -> None:
    """A loss that is no number must stay none: divergence is found by it."""
    logits = torch.tensor([[[0.0, float("nan")]], [[0.0, float("inf")]]])
    values = bernoulli_log_likelihood(torch.full((2, 1, 2), 0.5), logits)
    assert not values.isfinite().any()
