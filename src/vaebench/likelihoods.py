"""The likelihoods p(x|z) that a decoder can be trained with, one function each.

There are two kinds. A `@likelihood` computes log p(x|z) from the data and the decoder's outputs. A
`@batch_variance` computes the variance T of an isotropic Gaussian N(x; nu(z), T I) from the
residuals of a batch.

To add one, write a function, here or in a plugin, and put one of these lines above it. Like the
registry of objectives, this one is read without importing torch. Shapes: `run` is the number of
runs that are trained together, `batch` the number of examples. T is a variance, as in the paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from vaebench.errors import UserError
from vaebench.parameters import Parameter, Value, declared, from_one_file, name_of

if TYPE_CHECKING:
    from torch import Tensor


class Decoded(NamedTuple):
    """The decoder's outputs for each z of a batch."""

    output: Tensor
    """The linear output, shape [run, batch, pixel]: the mean of p(x|z), or its logits."""
    std: Tensor | None
    """The learned standard deviation of p(x|z). Its shape is [run, batch, pixel] if it depends on
    pixel and z, [run, 1, pixel] if it depends on the pixel only, and [run, 1, 1] if it is a single
    number of the run. None if it is not learned."""


class Residuals(NamedTuple):
    """The properties of a batch that a variance T can be computed from."""

    squared: Tensor
    """|x - nu(z)|^2 of each example, shape [run, batch]."""
    pixels: int
    """The number of data dimensions m."""
    information: Tensor | None
    """u = tr Sigma^-1 S^2 = tr(I + Sigma^-1 M_B), shape [run, 1]. None if Sigma depends on x."""


LogLikelihood = Callable[..., "Tensor"]
"""Takes the data, what is decoded, and the likelihood's own parameters as keyword arguments."""
BatchVariance = Callable[..., "Tensor"]
"""Takes `Residuals`, and the likelihood's own parameters as keyword arguments."""
L = TypeVar("L", bound=LogLikelihood)
DecoderMean = Callable[["Tensor"], "Tensor"]


@dataclass(frozen=True)
class Likelihood:
    """A registered likelihood. It has either a `log_likelihood` or a `variance`."""

    name: str
    log_likelihood: LogLikelihood | None
    variance: BatchVariance | None
    """Computes the variance T of an isotropic Gaussian from a batch."""
    mean: DecoderMean
    """Computes the mean of p(x|z), which is shown as an image, from the decoder's output."""
    std: Literal["none", "pixel", "shared", "coordinate"]
    """Which standard deviation the decoder learns, see `Decoded.std`."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """Settings of its own."""
    data_scale: str | None = None
    """The name of the parameter that is a factor on the data, at the network's input and in the
    likelihood. The function does not receive it. None: the data are pixels in [0, 1]."""
    posterior: Literal["any", "constant"] = "any"
    """`constant`: it can only be used with posteriors whose Sigma is the same for every x."""

    @property
    def function(self) -> Callable[..., Any]:
        """The registered function."""
        return self.log_likelihood or self.variance  # type: ignore[return-value]


LIKELIHOODS: dict[str, Likelihood] = {}


def data_scales() -> frozenset[str]:
    """The parameters that scale the data, each of one or more likelihoods."""
    return frozenset(one.data_scale for one in LIKELIHOODS.values() if one.data_scale)


DATA_SCALE = Parameter(
    1.0,
    above=0,
    description="lambda: factor on the data, at the network's input and in the likelihood "
    "(Figs. 6, 10).",
)
TAU = Parameter(
    kind=float,
    above=0,
    description="tau: the information factor of BAGGINS (Eq. 29). The paper has no value for all "
    "runs.",
)


def likelihood(
    *without_parentheses: Any,
    mean: DecoderMean = lambda output: output,
    std: Literal["none", "pixel", "shared", "coordinate"] = "none",
    parameters: Mapping[str, Parameter | Value] | None = None,
    data_scale: str | None = None,
    name: str | None = None,
) -> Callable[[L], L]:
    """Register the decorated log-likelihood.

    Args:
        *without_parentheses: nothing; it finds out whether the parentheses were forgotten.
        mean: computes the mean of p(x|z) from the decoder's output.
        std: which standard deviation the decoder learns, see `Decoded.std`.
        parameters: its own settings, which the function takes as keyword arguments. Numbers are
            tensors of shape [run, 1, 1]. Whole numbers and texts are unchanged.
        data_scale: the parameter that scales the data, see `Likelihood.data_scale`.
        name: its name in configs. Default: the name of the function, with hyphens for underscores.

    Raises:
        UserError: the declaration is wrong. The text says what to change.
    """
    _check_parentheses("likelihood", without_parentheses)

    def register(function: L) -> L:
        own, known = _declaration(function, name, parameters, data_scale, positional=2)
        LIKELIHOODS[own] = Likelihood(own, function, None, mean, std, known, data_scale)
        return function

    return register


def batch_variance(
    *without_parentheses: Any,
    parameters: Mapping[str, Parameter | Value] | None = None,
    data_scale: str | None = None,
    posterior: Literal["any", "constant"] = "any",
    name: str | None = None,
) -> Callable[[L], L]:
    """Register an isotropic Gaussian whose variance T the decorated function computes from a batch.

    T then depends on x, so p(x|z) is not a normalised density. Therefore the evidence lower bound
    is evaluated with one scalar T, the mean squared residual of the training set. Arguments as in
    `likelihood`; numbers among the parameters have the shape [run, 1].
    """
    _check_parentheses("batch_variance", without_parentheses)

    def register(function: L) -> L:
        own, known = _declaration(function, name, parameters, data_scale, positional=1)
        LIKELIHOODS[own] = Likelihood(
            *(own, None, function, lambda output: output, "none", known, data_scale, posterior)
        )
        return function

    return register


def _check_parentheses(decorator: str, without_parentheses: tuple[Any, ...]) -> None:
    if without_parentheses:
        given = getattr(without_parentheses[0], "__name__", str(without_parentheses[0]))
        raise UserError(f"'{given}' is decorated with @{decorator}: write the parentheses")


def _declaration(
    function: Callable[..., Any],
    name: str | None,
    parameters: Mapping[str, Parameter | Value] | None,
    data_scale: str | None,
    positional: int,
) -> tuple[str, dict[str, Parameter]]:
    """The name and the parameters of a likelihood that is registered."""
    own = name or name_of(function, "likelihood" if positional == 2 else "batch_variance")
    if own in LIKELIHOODS and not from_one_file(LIKELIHOODS[own].function, function):
        raise UserError(f"two likelihoods are named '{own}': give one of them another name")
    given = dict(parameters or {})
    owner = f"likelihood '{own}'"
    scale = {} if data_scale is None else {data_scale: given.pop(data_scale, DATA_SCALE)}
    try:
        return own, declared(owner, scale) | declared(owner, given, function, positional)
    except ValueError as error:
        raise UserError(str(error)) from None


@likelihood(mean=lambda output: output.sigmoid())
def bernoulli(x: Tensor, decoded: Decoded) -> Tensor:
    """Minus the binary cross entropy with logits, on grey values.

    It is a normalised distribution of x in {0, 1}, but not of grey values between them.

    Args:
        x: data in [0, 1], shape [run, batch, pixel].
        decoded: the decoder's logits, of the same shape.

    Returns:
        log p(x|z) in nats, shape [run, batch].
    """
    from vaebench.numerics.kernels import bernoulli_log_likelihood

    return bernoulli_log_likelihood(x, decoded.output)


@likelihood(mean=lambda output: output, data_scale="data_scale")
def gaussian(x: Tensor, decoded: Decoded) -> Tensor:
    """The log density of N(x; nu(z), I), the Gaussian with constant variance T = I.

    Args:
        x: scaled data, shape [run, batch, pixel].
        decoded: the decoder's means, of the same shape.

    Returns:
        log p(x|z) in nats of the scaled data, shape [run, batch].
    """
    return -0.5 * (x.shape[-1] * math.log(2 * math.pi) + (x - decoded.output).square().sum(-1))


@likelihood(mean=lambda output: output, std="pixel", data_scale="data_scale")
def gaussian_learned(x: Tensor, decoded: Decoded) -> Tensor:
    """The log density of N(x; nu(z), T(z)) with a learned diagonal T(z) (Section 7.2).

    It is unbounded above, see Section 5 of the paper. Arguments and result as in `gaussian`.
    """
    return _normal(x, decoded.output, decoded.std)


@likelihood(mean=lambda output: output, std="shared", data_scale="data_scale")
def gaussian_shared(x: Tensor, decoded: Decoded) -> Tensor:
    """The log density of N(x; nu(z), T) with one learned scalar T for all pixels and examples.

    It is not in the paper. Training starts at T = I. Arguments and result as in `gaussian`.
    """
    return _normal(x, decoded.output, decoded.std)


@likelihood(mean=lambda output: output.sigmoid(), std="coordinate")
def gaussian_coordinate(x: Tensor, decoded: Decoded) -> Tensor:
    """The log density of N(x; nu(z), T), nu in [0, 1], with one learned T of each coordinate.

    It is the likelihood of the CelebA experiments: Barron's (2017) RGB pixel model with a Gaussian.
    T is diagonal and does not depend on z. Arguments and result as in `gaussian`, except that data
    are in [0, 1] and the decoder's outputs are the logits of the means.
    """
    return _normal(x, decoded.output.sigmoid(), decoded.std)


def _normal(x: Tensor, mean: Tensor, std: Tensor | None) -> Tensor:
    if std is None:
        raise ValueError("the decoder has no standard deviation")
    normalised = (x - mean) / std
    density = math.log(2 * math.pi) + normalised.square() + 2 * std.log()
    return -0.5 * density.sum(-1)


@batch_variance(data_scale="data_scale")
def gaussian_shared_batch(batch: Residuals) -> Tensor:
    """One scalar T, the batch's mean squared residual: the optimum of `gaussian_shared`.

    It is known as the optimal sigma-VAE (Rybkin et al., 2021). It is not in the paper.

    Args:
        batch: the residuals of a batch.

    Returns:
        T, shape [run, 1] or [run, batch].
    """
    return batch.squared.mean(-1, keepdim=True) / batch.pixels


@batch_variance(parameters={"tau": TAU}, data_scale="data_scale", posterior="constant")
def baggins(batch: Residuals, tau: Tensor) -> Tensor:
    """Eq. 29: T_i = tau |x_i - nu(z_i)|^2 / tr Sigma^-1 S_B^2, one T for each example.

    With `bilbo` this is Eq. 30. The gradient flows through T and S^2. Arguments and result as in
    `gaussian_shared_batch`.
    """
    return _bounded(batch.squared, batch.information, tau)


@batch_variance(parameters={"tau": TAU}, data_scale="data_scale", posterior="constant")
def baggins_fixed_t(batch: Residuals, tau: Tensor) -> Tensor:
    """An ablation of `baggins`: no gradient flows through T.

    Training then optimises something else than `baggins`.
    """
    return _bounded(batch.squared, batch.information, tau).detach()


@batch_variance(parameters={"tau": TAU}, data_scale="data_scale", posterior="constant")
def baggins_fixed_s(batch: Residuals, tau: Tensor) -> Tensor:
    """An ablation of `baggins`: no gradient flows through the S^2 in T.

    Training then optimises something else than `baggins`.
    """
    information = None if batch.information is None else batch.information.detach()
    return _bounded(batch.squared, information, tau)


def _bounded(squared: Tensor, information: Tensor | None, tau: Tensor) -> Tensor:
    if information is None:
        raise ValueError("BAGGINS needs one posterior variance for all examples")
    return tau * squared / information
