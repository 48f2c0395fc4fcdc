"""The fast forms of dense layers and of the Bernoulli likelihood, against float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from vaebench import kernels
from vaebench.kernels import NARROW, bernoulli_log_likelihood, stacked_linear


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def reference(values: Tensor, weight: Tensor, bias: Tensor, rectified: bool) -> Tensor:
    outputs = values @ weight + bias
    return outputs.clamp_min(0) if rectified else outputs


def gradients(outputs: Tensor, upstream: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad((outputs * upstream).sum(), inputs))


@settings(max_examples=40, deadline=None)
@given(
    runs=st.integers(1, 4),
    batch=st.integers(1, 40),
    inputs=st.integers(1, 3 * NARROW),
    outputs=st.integers(1, 3 * NARROW),
    rectified=st.booleans(),
)
def test_a_dense_layer_and_its_gradients(
    runs: int, batch: int, inputs: int, outputs: int, rectified: bool
) -> None:
    shapes = (runs, batch, inputs), (runs, inputs, outputs), (runs, 1, outputs)
    upstream = draw(runs, batch, outputs, seed=1)
    singles = values, weight, bias = [draw(*shape).requires_grad_() for shape in shapes]
    ours = stacked_linear(values, weight, bias, rectified)
    doubles = values, weight, bias = [one.detach().double().requires_grad_() for one in singles]
    exact = reference(values, weight, bias, rectified)
    torch.testing.assert_close(ours, exact.float(), rtol=1e-4, atol=1e-4)
    # Where rounding decides on which side of 0 a number is, no gradient can be expected.
    upstream = upstream * (exact.abs() > 1e-4)
    for got, wanted in zip(
        gradients(ours, upstream, singles),
        gradients(exact, upstream.double(), doubles),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted.float(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("rectified", [False, True])
def test_a_dense_layer_without_onednn(monkeypatch: pytest.MonkeyPatch, rectified: bool) -> None:
    values, weight, bias = draw(3, 5, 20), draw(3, 20, 30), draw(3, 1, 30)
    fast = stacked_linear(values, weight, bias, rectified)
    monkeypatch.setattr(kernels, "_onednn", lambda: None)
    plain = stacked_linear(values, weight, bias, rectified)
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)


def test_a_dense_layer_takes_values_in_any_layout() -> None:
    """Evaluation shows the same images to all runs; gradients come as they come."""
    one = draw(1, 5, 20).expand(3, -1, -1)
    weight, bias = draw(3, 20, 30).requires_grad_(), draw(3, 1, 30)
    outputs = stacked_linear(one, weight, bias)
    torch.testing.assert_close(outputs, reference(one, weight, bias, False), rtol=1e-5, atol=1e-5)
    (expanded,) = torch.autograd.grad(outputs.sum(), weight)
    torch.testing.assert_close(expanded, one.sum(1)[..., None].expand(-1, -1, 30))


@pytest.mark.skipif(kernels._onednn() is None, reason="PyTorch has no oneDNN for this processor")
def test_a_run_is_the_same_alone_and_among_others() -> None:
    values, weight, bias = draw(4, 30, 50), draw(4, 50, 40), draw(4, 1, 40)
    together = stacked_linear(values, weight, bias, True)
    alone = stacked_linear(values[2:3], weight[2:3], bias[2:3], True)
    assert torch.equal(together[2:3], alone)


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
    (got,) = gradients(ours, upstream, [logits])
    (wanted,) = gradients(exact, upstream.double(), [exact_logits])
    torch.testing.assert_close(got.double(), wanted, rtol=1e-5, atol=1e-6)


def test_a_diverged_bernoulli_says_so() -> None:
    """A loss that is no number must stay none: divergence is found by it."""
    logits = torch.tensor([[[0.0, float("nan")]], [[0.0, float("inf")]]])
    values = bernoulli_log_likelihood(torch.full((2, 1, 2), 0.5), logits)
    assert not values.isfinite().any()
