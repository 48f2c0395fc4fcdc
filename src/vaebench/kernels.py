"""Where training spends its time: dense layers and the Bernoulli likelihood, forward and backward.

Both compute what a line of plain PyTorch would, up to rounding, in less time.

Dense layers: on x86 processors PyTorch multiplies float32 matrices by MKL, which does not use all
of a processor that is not Intel's. oneDNN does (twice the rate on an AMD EPYC with AVX-512), comes
with PyTorch, and is reached by the operator that PyTorch's own compiler emits for linear layers.

The likelihood: its gradient needs sigmoid(logits) and its value sums of logarithms; the latter
follow from the former by a logarithm of products instead of one for every pixel.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

NARROW = 16
"""With fewer inputs, a product is too small for oneDNN's preparations to pay."""
FACTORS = 16
"""At most so many numbers are multiplied before a logarithm; they are in [1/2, 1], and float32 ends
at 2^-126."""

Layer = tuple[Tensor, Tensor]
"""The weight, [run, in, out], and the bias, [run, 1, out], of a dense layer of every run."""


def dense(values: Tensor, hidden: Sequence[Layer], heads: Sequence[Layer]) -> list[Tensor]:
    """Hidden layers max(0, values @ weight + bias) one after the other, then linear heads of them.

    Args:
        values: shape [run, batch, in].
        hidden: in order; there may be none.
        heads: each takes what the last hidden layer puts out.

    Returns:
        What each head puts out, [run, batch, out].
    """
    layers = [*hidden, *heads]
    if heads[0][0].device.type == "cpu" and heads[0][0].dtype == torch.float32 and _onednn():
        flat = [tensor for layer in layers for tensor in layer]
        outputs = _Dense.apply(len(hidden), values, *flat)  # type: ignore[no-untyped-call]
        return list(outputs)
    for weight, bias in hidden:
        values = torch.baddbmm(bias, values, weight).relu_()
    return [torch.baddbmm(bias, values, weight) for weight, bias in heads]


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """Sum over pixels of x log s + (1 - x) log(1 - s), s = sigmoid(logits).

    Args:
        x: in [0, 1], shape [..., pixel]; no gradient flows to it.
        logits: the same shape.

    Returns:
        Nats, of the shape without the last dimension.
    """
    value: Tensor = _Bernoulli.apply(x, logits)  # type: ignore[no-untyped-call]
    return value


@cache
def _onednn() -> Any:
    """oneDNN's linear layer, or None where PyTorch was built without it or for other processors."""
    if not torch.backends.mkldnn.is_available():
        return None
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return None
    linear = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    return None if linear is None else linear.default


class _Dense(torch.autograd.Function):
    """`dense` by oneDNN, run by run: it has no batched product, and a run's numbers fit a cache."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, hidden: int, values: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        each = list(zip(*(tensor.unbind() for tensor in (values, *parameters)), strict=True))
        saved: list[Tensor] = []
        outputs = []
        for inputs, *own in each:
            activations = [inputs]
            for k in range(hidden):
                activations.append(_layer(activations[-1], own[2 * k], own[2 * k + 1], "relu"))
            saved += activations
            heads = range(2 * hidden, len(own), 2)
            outputs.append([_layer(activations[-1], own[k], own[k + 1], "none") for k in heads])
        ctx.hidden, ctx.parameters = hidden, len(parameters)
        ctx.save_for_backward(*parameters, *saved)
        return tuple(_stack(of_runs) for of_runs in zip(*outputs, strict=True))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        parameters, saved = ctx.saved_tensors[: ctx.parameters], ctx.saved_tensors[ctx.parameters :]
        weights = zip(*(weight.unbind() for weight in parameters[::2]), strict=True)
        each = zip(weights, zip(*(one.unbind() for one in gradients), strict=True), strict=True)
        of_runs = []
        for run, (own, upstream) in enumerate(each):
            activations = saved[run * (ctx.hidden + 1) :][: ctx.hidden + 1]
            of_runs.append(_backward(activations, own, upstream, ctx.needs_input_grad[1]))
        stacked = (None if one[0] is None else _stack(one) for one in zip(*of_runs, strict=True))
        return None, *stacked


def _backward(
    activations: Sequence[Tensor],
    weights: Sequence[Tensor],
    upstream: Sequence[Tensor],
    wants_input: bool,
) -> list[Tensor | None]:
    """The gradients of one run's input (or None), and of each layer's weight and bias."""
    hidden = len(activations) - 1
    found: list[Tensor | None] = []
    parts = []
    for weight, gradient in zip(weights[hidden:], upstream, strict=True):
        found += [_weight_gradient(activations[-1], gradient), gradient.sum(0, keepdim=True)]
        if hidden or wants_input:
            parts.append(_input_gradient(gradient, weight))
    below = sum(parts[1:], parts[0]) if parts else None
    for k in reversed(range(hidden)):
        gradient = torch.ops.aten.threshold_backward(below, activations[k + 1], 0)
        found[:0] = [_weight_gradient(activations[k], gradient), gradient.sum(0, keepdim=True)]
        below = _input_gradient(gradient, weights[k]) if k or wants_input else None
    return [below, *found]


def _stack(each: Sequence[Tensor]) -> Tensor:
    """[run, ...] from each run's; of one run without a copy."""
    return each[0][None] if len(each) == 1 else torch.stack(list(each))


def _product(left: Tensor, transposed_right: Tensor, bias: Tensor | None, then: str) -> Tensor:
    """Left @ right + bias; a left side that is not contiguous is copied."""
    product: Tensor = _onednn()(left, transposed_right, bias, then, [], "")
    return product


def _layer(values: Tensor, weight: Tensor, bias: Tensor, then: str) -> Tensor:
    if weight.shape[0] < NARROW:
        outputs = torch.addmm(bias, values, weight)
        return outputs.relu_() if then == "relu" else outputs
    return _product(values, weight.T, bias[0], then)


def _input_gradient(gradient: Tensor, weight: Tensor) -> Tensor:
    if weight.shape[0] < NARROW:
        return gradient @ weight.T
    return _product(gradient, weight, None, "none")


def _weight_gradient(values: Tensor, gradient: Tensor) -> Tensor:
    inputs, outputs = values.shape[1], gradient.shape[1]
    if inputs < NARROW:
        return values.T @ gradient
    # Values^T @ gradient or its transpose: the left side has to be transposed in memory, so let it
    # be the narrower.
    if inputs > outputs:
        return _product(gradient.T.contiguous(), values.T, None, "none").T
    return _product(values.T.contiguous(), gradient.T, None, "none")


class _Bernoulli(torch.autograd.Function):
    """Sum of x l - max(0, l) - log(1 + e^-|l|) for logits l; the last is -log max(s, 1 - s)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, logits: Tensor) -> Tensor:
        mean = logits.sigmoid()
        ctx.save_for_backward(x, mean)
        likelier = (mean - 0.5).abs_().add_(0.5)
        pixels = logits.shape[-1]
        factors = max(k for k in range(1, FACTORS + 1) if pixels % k == 0)
        products = likelier.unflatten(-1, (factors, pixels // factors)).prod(-2)
        linear = logits.relu().addcmul_(x, logits, value=-1).sum(-1)
        value: Tensor = products.log_().sum(-1).sub_(linear)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, mean = ctx.saved_tensors
        return None, (x - mean).mul_(gradient[..., None])
