"""Where training spends its time: dense layers and the Bernoulli likelihood, forward and backward.

Both compute what a line of plain PyTorch would, up to rounding, in less time.

Dense layers: on x86 processors PyTorch multiplies float32 matrices by MKL, which does not use all
of a processor that is not Intel's. oneDNN does (twice the rate on an AMD EPYC with AVX-512), comes
with PyTorch, and is reached by the operator that PyTorch's own compiler emits for linear layers.

The likelihood: its gradient needs sigmoid(logits) and its value sums of logarithms; the latter
follow from the former by a logarithm of products instead of one for every pixel.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

NARROW = 16
"""Below so many inputs, a batched product of all runs beats one call a run."""
FACTORS = 16
"""At most so many numbers are multiplied before a logarithm; they are in [1/2, 1], and float32 ends
at 2^-126."""


def stacked_linear(values: Tensor, weight: Tensor, bias: Tensor, rectified: bool = False) -> Tensor:
    """One dense layer of every run: values @ weight + bias, and then max(0, .) if wanted.

    Args:
        values: shape [run, batch, in].
        weight: shape [run, in, out].
        bias: shape [run, 1, out].
        rectified: whether a ReLU follows.

    Returns:
        Shape [run, batch, out].
    """
    if _suits_onednn(weight):
        outputs: Tensor = _Linear.apply(values, weight, bias, rectified)  # type: ignore[no-untyped-call]
        return outputs
    outputs = torch.baddbmm(bias, values, weight)
    return torch.relu_(outputs) if rectified else outputs


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
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def _suits_onednn(weight: Tensor) -> bool:
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and weight.shape[1] >= NARROW
        and _onednn() is not None
    )


def _products(lefts: Tensor, rights: Tensor, biases: Tensor | None, then: str) -> list[Tensor]:
    """left @ right^T (+ bias) of each run; `then` is what follows: "none" or "relu".

    Args:
        lefts: shape [run, rows, inner], contiguous, or it is copied.
        rights: shape [run, columns, inner], in any layout.
        biases: shape [run, columns].
        then: a name that oneDNN knows.
    """
    linear = _onednn()
    each = [None] * len(lefts) if biases is None else biases.unbind()
    return [
        linear(left, right, bias, then, [], "")
        for left, right, bias in zip(lefts.unbind(), rights.unbind(), each, strict=True)
    ]


class _Linear(torch.autograd.Function):
    """`stacked_linear` by oneDNN, one product a run: it has no batched one."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, rectified: bool) -> Tensor:
        then = "relu" if rectified else "none"
        outputs = torch.stack(_products(values, weight.mT, bias[:, 0], then))
        ctx.save_for_backward(values, weight, outputs if rectified else None)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, rectified = ctx.saved_tensors
        if rectified is not None:
            gradient = torch.ops.aten.threshold_backward(gradient, rectified, 0)
        of_values = None
        if ctx.needs_input_grad[0]:
            of_values = torch.stack(_products(gradient, weight, None, "none"))
        # values^T @ gradient, or its transpose: the left side has to be transposed in memory, so
        # let it be the narrower.
        if values.shape[-1] > gradient.shape[-1]:
            transposed = _products(gradient.mT.contiguous(), values.mT, None, "none")
            of_weight = torch.stack([one.T for one in transposed])
        else:
            of_weight = torch.stack(_products(values.mT.contiguous(), gradient.mT, None, "none"))
        return of_values, of_weight, gradient.sum(1, keepdim=True), None


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
