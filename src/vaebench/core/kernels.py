"""Where training spends its time: dense layers and the Bernoulli likelihood, forward and backward.

Both compute what a line of plain PyTorch would, up to rounding, in less time.

Dense layers: on x86 processors PyTorch multiplies float32 matrices by MKL. oneDNN, which comes with
PyTorch, did so at twice the rate on an AMD EPYC with AVX-512. It is reached by the operator that
PyTorch's own compiler emits for linear layers.

The likelihood: its gradient needs sigmoid(logits) and its value sums of logarithms; the latter
follow from the former by a logarithm of products instead of one for every pixel.
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
    if heads[0][0].device.type == "cpu" and heads[0][0].dtype == torch.float32 and has_onednn():
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
def has_onednn() -> bool:
    """Whether PyTorch has oneDNN's linear layer for this processor."""
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability().startswith("AVX")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _scripted(function: Function) -> Function:
    """Have TorchScript's interpreter run it, in which threads do not wait for each other's Python.

    PyTorch has deprecated it without a successor that needs no compiler. As plain Python, these
    functions give the same; training on two threads is then slower by a twelfth.
    """
    if not has_onednn():  # nor will they be called
        return function
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted: Function = torch.jit.script(function)
    return scripted


def _bernoulli(x: Tensor, logits: Tensor, factors: int) -> tuple[Tensor, Tensor]:
    """The log-likelihood, and sigmoid(logits)."""
    mean = logits.sigmoid()
    likelier = (mean - 0.5).abs_().add_(0.5)
    products = likelier.unflatten(-1, (factors, logits.size(-1) // factors)).prod(-2)
    linear = logits.relu().addcmul_(x, logits, value=-1).sum(-1)
    return products.log_().sum(-1).sub_(linear), mean


_bernoulli_on_cpu = _scripted(_bernoulli)


@_scripted
def product(left: Tensor, transposed_right: Tensor, bias: Tensor | None, then: str) -> Tensor:
    """Left @ right + bias by oneDNN; a left side that is not contiguous is copied."""
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
    """Values^T @ gradient, or its transpose, transposed.

    The left side has to be transposed in memory, so let it be the narrower.
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
    """One run's inputs and what each hidden layer puts out; and what the heads do.

    Args:
        inputs: shape [batch, in].
        layers: weight and bias of each layer in turn, the heads last.
        hidden: how many layers are hidden.
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
    """The gradients of one run's inputs, then of each layer's weight and bias.

    The first is of no meaning if it is not wanted.
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
    """[run, ...] from each run's; of one run without a copy."""
    return each[0][None] if len(each) == 1 else torch.stack(list(each))


class _Dense(torch.autograd.Function):
    """`dense` by oneDNN, run by run: it has no batched product, and a run's numbers fit a cache."""

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
    """Sum of x l - max(0, l) - log(1 + e^-|l|) for logits l; the last is -log max(s, 1 - s)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, logits: Tensor) -> Tensor:
        pixels = logits.shape[-1]
        factors = max(k for k in range(1, FACTORS + 1) if pixels % k == 0)
        # On GPUs TorchScript would make kernels of its own, and that while steps are recorded.
        compute = _bernoulli_on_cpu if logits.device.type == "cpu" else _bernoulli
        value, mean = compute(x, logits, factors)
        ctx.save_for_backward(x, mean)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, mean = ctx.saved_tensors
        return None, (x - mean).mul_(gradient[..., None])
