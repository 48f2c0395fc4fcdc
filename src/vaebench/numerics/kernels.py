"""Fast dense layers and a fast Bernoulli likelihood, forward and backward.

Training spends most of its time in them. Both give the results of plain PyTorch, up to rounding, in
less time.

Dense layers: on x86 processors PyTorch multiplies float32 matrices by MKL. The library oneDNN,
which comes with PyTorch, was twice as fast on an AMD EPYC with AVX-512. This module calls it
through the operator that PyTorch's compiler emits for linear layers.

Bernoulli likelihood: its gradient needs sigmoid(logits), and its value needs a sum of logarithms
over pixels. The value is computed from the same sigmoids. It takes one logarithm of a product of
several pixels, where plain PyTorch takes one for each pixel.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Function = TypeVar("Function", bound=Callable[..., Any])

NARROW = 16
"""Layers with fewer inputs use PyTorch's product: oneDNN's overhead would exceed its gain."""
FACTORS = 16
"""The largest number of factors that are multiplied before a logarithm is taken. Each factor is in
[1/2, 1], so the product stays far above 2^-126, the smallest normal float32."""

Layer = tuple[Tensor, Tensor]
"""A dense layer of all runs: its weight, shape [run, in, out], and bias, shape [run, 1, out]."""


def dense(values: Tensor, hidden: Sequence[Layer], heads: Sequence[Layer]) -> list[Tensor]:
    """Apply hidden layers max(0, values @ weight + bias) in turn, then linear heads.

    Args:
        values: shape [run, batch, in].
        hidden: the hidden layers in order. There may be none.
        heads: the heads. Each takes the output of the last hidden layer.

    Returns:
        The output of each head, shape [run, batch, out].
    """
    layers = [*hidden, *heads]
    first = heads[0][0]
    if first.device.type == "cpu" and first.dtype == torch.float32 and _is_fast():
        flat = [tensor for layer in layers for tensor in layer]
        outputs = _Dense.apply(len(hidden), values, *flat)  # type: ignore[no-untyped-call]
        return list(outputs)
    for weight, bias in hidden:
        values = torch.baddbmm(bias, values, weight).relu_()
    return [torch.baddbmm(bias, values, weight) for weight, bias in heads]


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """Sum over pixels of x log s + (1 - x) log(1 - s), s = sigmoid(logits).

    Args:
        x: in [0, 1], shape [..., pixel]. No gradient flows to it.
        logits: of the same shape.

    Returns:
        The log-likelihood in nats, shape [...].
    """
    value: Tensor = _Bernoulli.apply(x, logits)  # type: ignore[no-untyped-call]
    return value


@cache
def has_onednn() -> bool:
    """Whether PyTorch has oneDNN's linear layer for this processor."""
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability().startswith("AVX")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


@cache
def has_onednn_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 matrices on this processor."""
    return has_onednn() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _is_fast() -> bool:
    """Whether oneDNN multiplies in the current precision: bfloat16 in autocast, else float32."""
    return has_onednn_bfloat16() if torch.is_autocast_enabled("cpu") else has_onednn()


def _scripted(function: Function) -> Function:
    """Compile a function by TorchScript, which runs it without Python's global lock.

    Several threads can then run such functions at once. As plain Python the functions give the same
    results up to rounding, but training on two threads takes a twelfth longer. PyTorch has
    deprecated TorchScript. What it offers in its place needs a C++ compiler and serves long
    trainings, see `training/compiled.py`.
    """
    if not has_onednn():  # The functions are then never called.
        return function
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted: Function = torch.jit.script(function)
    return scripted


def _bernoulli(x: Tensor, logits: Tensor, factors: int) -> tuple[Tensor, Tensor]:
    """The log-likelihood, shape [...], and sigmoid(logits), shape [..., pixel]."""
    mean = logits.sigmoid()
    likelier = (mean - 0.5).abs_().add_(0.5)
    products = likelier.unflatten(-1, (factors, logits.size(-1) // factors)).prod(-2)
    linear = logits.relu().addcmul_(x, logits, value=-1).sum(-1)
    return products.log_().sum(-1).sub_(linear), mean


_bernoulli_on_cpu = _scripted(_bernoulli)


@_scripted
def product(left: Tensor, transposed_right: Tensor, bias: Tensor | None, then: str) -> Tensor:
    """Left @ right + bias by oneDNN, which copies `left` if it is not contiguous."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, transposed_right, bias, then, [], "")
    return product


@_scripted
def _layer(
    values: Tensor, weight: Tensor, bias: Tensor, rectified: bool, narrow: int = NARROW
) -> Tensor:
    """A dense layer of one run."""
    if weight.size(0) >= narrow:
        return product(values, weight.t(), bias[0], "relu" if rectified else "none")
    outputs = torch.addmm(bias, values, weight)
    return outputs.relu_() if rectified else outputs


@_scripted
def _input_gradient(gradient: Tensor, weight: Tensor, narrow: int = NARROW) -> Tensor:
    """Gradient @ weight^T."""
    if weight.size(0) >= narrow:
        return product(gradient, weight, None, "none")
    return gradient @ weight.t()


@_scripted
def _weight_gradient(values: Tensor, gradient: Tensor, narrow: int = NARROW) -> Tensor:
    """Values^T @ gradient.

    oneDNN needs a contiguous left factor, so one of the two has to be transposed in memory. This
    function transposes the narrower one. If that is `gradient`, it computes gradient^T @ values and
    returns the transpose.
    """
    if values.size(1) < narrow:
        return values.t() @ gradient
    if values.size(1) > gradient.size(1):
        return product(gradient.t().contiguous(), values.t(), None, "none").t()
    return product(values.t().contiguous(), gradient.t(), None, "none")


@_scripted
def _forward(
    inputs: Tensor, layers: list[Tensor], hidden: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Apply the layers of one run.

    Args:
        inputs: shape [batch, in].
        layers: weight and bias of each layer in turn, the heads last.
        hidden: the number of hidden layers.

    Returns:
        The inputs and the output of each hidden layer; the output of each head.
    """
    activations = [inputs]
    for k in range(hidden):
        activations.append(_layer(activations[-1], layers[2 * k], layers[2 * k + 1], True))
    heads: list[Tensor] = []
    for k in range(hidden, len(layers) // 2):
        output = _layer(activations[-1], layers[2 * k], layers[2 * k + 1], False)
        heads.append(output)
    return activations, heads


@_scripted
def _backward(
    activations: list[Tensor], weights: list[Tensor], upstream: list[Tensor], wants_input: bool
) -> list[Tensor]:
    """The gradients by one run's inputs, then by each layer's weight and bias.

    The first one is not computed, and has no meaning, unless `wants_input`.
    """
    hidden = len(activations) - 1
    below = activations[0]
    heads: list[Tensor] = []
    for k in range(len(upstream)):
        heads.append(_weight_gradient(activations[-1], upstream[k]))
        heads.append(upstream[k].sum(0, keepdim=True))
        if hidden > 0 or wants_input:
            part = _input_gradient(upstream[k], weights[hidden + k])
            below = part if k == 0 else below + part
    reversed_order: list[Tensor] = []
    for k in range(hidden - 1, -1, -1):
        gradient = torch.ops.aten.threshold_backward(below, activations[k + 1], 0)
        reversed_order.append(gradient.sum(0, keepdim=True))
        reversed_order.append(_weight_gradient(activations[k], gradient))
        if k > 0 or wants_input:
            below = _input_gradient(gradient, weights[k])
    reversed_order.append(below)
    reversed_order.reverse()
    return reversed_order + heads


def _stack(each: Sequence[Tensor]) -> Tensor:
    """Stack one tensor of each run to shape [run, ...]. A single one is not copied."""
    return each[0][None] if len(each) == 1 else torch.stack(list(each))


class _Dense(torch.autograd.Function):
    """`dense` by oneDNN, one run after the other.

    oneDNN has no batched product. The values of a single run fit into a processor's cache.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, hidden: int, values: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        saved: list[Tensor] = []
        outputs = []
        for inputs, *own in zip(*(one.unbind() for one in (values, *parameters)), strict=True):
            activations, heads = _forward(inputs, own, hidden)
            saved += activations
            outputs.append(heads)
        ctx.hidden, ctx.parameters = hidden, len(parameters)
        ctx.save_for_backward(*parameters, *saved)
        return tuple(_stack(of_runs) for of_runs in zip(*outputs, strict=True))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        parameters, saved = ctx.saved_tensors[: ctx.parameters], ctx.saved_tensors[ctx.parameters :]
        weights = zip(*(weight.unbind() for weight in parameters[::2]), strict=True)
        each = zip(weights, zip(*(one.unbind() for one in gradients), strict=True), strict=True)
        wants_input: bool = ctx.needs_input_grad[1]
        of_runs = []
        for run, (own, upstream) in enumerate(each):
            activations = saved[run * (ctx.hidden + 1) :][: ctx.hidden + 1]
            of_runs.append(_backward(list(activations), list(own), list(upstream), wants_input))
        stacked = [_stack(one) for one in zip(*of_runs, strict=True)]
        return (None, *stacked) if wants_input else (None, None, *stacked[1:])


class _Bernoulli(torch.autograd.Function):
    """The sum over pixels of x l - max(0, l) - log(1 + e^-|l|), for logits l.

    With s = sigmoid(l), the last logarithm is log(1 + e^-|l|) = -log max(s, 1 - s).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, logits: Tensor) -> Tensor:
        pixels = logits.shape[-1]
        factors = max(k for k in range(1, FACTORS + 1) if pixels % k == 0)
        # On GPUs TorchScript would compile kernels of its own, while a CUDA graph is recorded.
        compute = _bernoulli_on_cpu if logits.device.type == "cpu" else _bernoulli
        value, mean = compute(x, logits, factors)
        ctx.save_for_backward(x, mean)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, mean = ctx.saved_tensors
        return None, (x - mean).mul_(gradient[..., None])
