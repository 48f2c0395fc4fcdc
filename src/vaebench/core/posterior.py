"""Posteriors q(z|x) of a batch: sampling, density, moments, and how an encoder gives them.

All families of `families.POSTERIORS` are Gaussian. `DiagonalPosterior` stands for those with a
diagonal Sigma, which need not depend on x. `FullPosterior` has any Sigma = L L'.

Shapes: [run, batch, latent]. In objectives with several draws of z, all tensors have a further
dimension of size 1 for the draws, [run, 1, batch, latent], so that formulas hold for both.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import softplus

LOG_TWO_PI = math.log(2 * math.pi)
SOFTPLUS_IS_ONE = math.log(math.expm1(1))

Positive = Callable[[Tensor], Tensor]
"""How a network makes positive numbers of the outputs of a layer."""


@dataclass(frozen=True)
class Posterior(ABC):
    """The Gaussian q(z|x) = N(mean, Sigma) of each example in a batch."""

    mean: Tensor
    """Shape [run, batch, latent]."""

    @property
    @abstractmethod
    def std(self) -> Tensor:
        """The marginal standard deviations, sqrt diag Sigma.

        Shape [run, batch, latent]; [run, 1, 1] or [run, 1, latent] if Sigma does not depend on x.
        """

    @abstractmethod
    def sample(self, noise: Tensor) -> Tensor:
        """Draws of z, of the shape of the standard normal `noise`: [run, (draw,) batch, latent]."""

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """log q(z|x) in nats, without the last dimension of z."""

    @abstractmethod
    def log_det(self) -> Tensor:
        """1/2 log det Sigma, shape [run, batch] or [run, 1]."""

    @abstractmethod
    def second_moments(self) -> Tensor:
        """The sum over the batch of Sigma + mean mean', shape [run, latent, latent]."""

    @abstractmethod
    def relative_to(self, prior: DiagonalPosterior) -> Self:
        """The same in the coordinates (z - m) / s of N(m, diag s^2), in which that is N(0, I).

        Args:
            prior: with m and s of shape [run, batch, latent].
        """

    @abstractmethod
    def changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same posterior with each of its tensors changed, such as to another device."""

    def per_draw(self) -> Self:
        """With a dimension of size 1 for draws of z, at place 1."""
        return self.changed(lambda tensor: tensor.unsqueeze(1))

    def second_moment(self) -> Tensor:
        """S^2 = E[diag(Sigma) + mean^2] of Eq. 4 over the batch, shape [run, 1, latent]."""
        return (self.std.square() + self.mean.square()).mean(-2, keepdim=True)

    def marginal(self) -> DiagonalPosterior:
        """Its marginals, as if the dimensions of z were independent."""
        return DiagonalPosterior(self.mean, self.std)


@dataclass(frozen=True)
class DiagonalPosterior(Posterior):
    """N(mean, diag(scale)^2)."""

    scale: Tensor
    """The standard deviations, see `Posterior.std`."""

    @property
    def std(self) -> Tensor:
        """The standard deviations."""
        return self.scale

    def sample(self, noise: Tensor) -> Tensor:
        """See `Posterior`."""
        return self.mean + self.scale * noise

    def log_density(self, z: Tensor) -> Tensor:
        """See `Posterior`."""
        normalised = (z - self.mean) / self.scale
        return -0.5 * (LOG_TWO_PI + normalised.square() + 2 * self.scale.log()).sum(-1)

    def log_det(self) -> Tensor:
        """See `Posterior`."""
        return self.scale.expand(*self.scale.shape[:-1], self.mean.shape[-1]).log().sum(-1)

    def second_moments(self) -> Tensor:
        """See `Posterior`."""
        variances = self.scale.square().expand_as(self.mean).sum(-2)
        return self.mean.mT @ self.mean + torch.diag_embed(variances)

    def relative_to(self, prior: DiagonalPosterior) -> Self:
        """See `Posterior`."""
        return type(self)((self.mean - prior.mean) / prior.scale, self.scale / prior.scale)

    def changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        """See `Posterior`."""
        return type(self)(change(self.mean), change(self.scale))


@dataclass(frozen=True)
class FullPosterior(Posterior):
    """N(mean, L L')."""

    cholesky: Tensor
    """L, lower triangular with a positive diagonal, shape [run, batch, latent, latent]."""

    @property
    def std(self) -> Tensor:
        """The marginal standard deviations."""
        return self.cholesky.square().sum(-1).sqrt()

    def sample(self, noise: Tensor) -> Tensor:
        """See `Posterior`."""
        return self.mean + (self.cholesky @ noise.unsqueeze(-1)).squeeze(-1)

    def log_density(self, z: Tensor) -> Tensor:
        """See `Posterior`."""
        deviation = (z - self.mean).unsqueeze(-1)
        normalised: Tensor = torch.linalg.solve_triangular(self.cholesky, deviation, upper=False)
        square = normalised.square().sum((-2, -1))
        return -0.5 * (z.shape[-1] * LOG_TWO_PI + square) - self.log_det()

    def log_det(self) -> Tensor:
        """See `Posterior`."""
        return self.cholesky.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def second_moments(self) -> Tensor:
        """See `Posterior`."""
        # A product of two matrices: all columns of all L of a run side by side.
        columns = self.cholesky.transpose(-3, -2).flatten(-2)
        return self.mean.mT @ self.mean + columns @ columns.mT

    def relative_to(self, prior: DiagonalPosterior) -> Self:
        """See `Posterior`."""
        scaled = self.cholesky / prior.scale.unsqueeze(-1)
        return type(self)((self.mean - prior.mean) / prior.scale, scaled)

    def changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        """See `Posterior`."""
        return type(self)(change(self.mean), change(self.cholesky))


class Family:
    """How an encoder gives the posteriors of a family. This class is for `diagonal`."""

    is_full: ClassVar[bool] = False
    """Whether Sigma is not diagonal."""
    varies: ClassVar[bool] = True
    """Whether Sigma depends on x."""

    def heads(self, latent: int) -> dict[str, int]:
        """The encoder's outputs beside the mean: names of layers with their sizes."""
        return {"std": latent}

    def initialise(
        self,
        parameters: dict[str, Tensor],
        latent: int,  # noqa: ARG002
        settings: Mapping[str, Tensor],  # noqa: ARG002
        to_one: float,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """Change or add initial parameters. Returns all of them.

        Args:
            parameters: those of all layers, each of shape [run, ...].
            latent: the latent dimension n.
            settings: the family's own settings, each of shape [run, 1, 1].
            to_one: the output of a layer of which the network makes a standard deviation of 1.
        """
        return parameters

    def posterior(
        self,
        mean: Tensor,
        raw: Sequence[Tensor],
        positive: Positive,
        scale: Tensor,
        own: Mapping[str, Tensor],  # noqa: ARG002
    ) -> Posterior:
        """The posterior of a batch.

        Args:
            mean: its means, already multiplied by `scale`.
            raw: the outputs of `heads`, each of shape [run, batch, size].
            positive: makes standard deviations of them.
            scale: the factor c on codes, shape [run, 1, 1].
            own: the settings of the family and its own parameters, each of shape [run, ...].
        """
        return DiagonalPosterior(mean, scale * positive(raw[0]))


class ConstantFamily(Family):
    """`constant`: sigma is a setting. The factor c is not applied to it."""

    varies = False

    def heads(self, latent: int) -> dict[str, int]:  # noqa: ARG002
        """None."""
        return {}

    def posterior(
        self,
        mean: Tensor,
        raw: Sequence[Tensor],  # noqa: ARG002
        positive: Positive,  # noqa: ARG002
        scale: Tensor,  # noqa: ARG002
        own: Mapping[str, Tensor],
    ) -> Posterior:
        """See `Family`."""
        return DiagonalPosterior(mean, own["posterior_std"])


class SharedFamily(Family):
    """`shared`: the standard deviations are parameters, the same for every x. They start at 1."""

    varies = False

    def heads(self, latent: int) -> dict[str, int]:  # noqa: ARG002
        """None."""
        return {}

    def initialise(
        self,
        parameters: dict[str, Tensor],
        latent: int,
        settings: Mapping[str, Tensor],  # noqa: ARG002
        to_one: float,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """See `Family`."""
        first = next(iter(parameters.values()))
        raw = torch.full((len(first), 1, latent), SOFTPLUS_IS_ONE, device=first.device)
        return parameters | {"encoder.shared_std": raw}

    def posterior(
        self,
        mean: Tensor,
        raw: Sequence[Tensor],  # noqa: ARG002
        positive: Positive,  # noqa: ARG002
        scale: Tensor,
        own: Mapping[str, Tensor],
    ) -> Posterior:
        """See `Family`."""
        return DiagonalPosterior(mean, scale * softplus(own["encoder.shared_std"]))


class DiagonalFromConstantFamily(Family):
    """`diagonal-from-constant`: before the first step, every standard deviation is sigma."""

    def initialise(
        self,
        parameters: dict[str, Tensor],
        latent: int,  # noqa: ARG002
        settings: Mapping[str, Tensor],
        to_one: float,
    ) -> dict[str, Tensor]:
        """See `Family`."""
        weight, bias = parameters["encoder.std.weight"], parameters["encoder.std.bias"]
        # The network's std is softplus(output + shift), with a shift such that to_one gives 1.
        wanted = settings["posterior_std"].to(bias).expm1().log() - SOFTPLUS_IS_ONE + to_one
        return parameters | {
            "encoder.std.weight": torch.zeros_like(weight),
            "encoder.std.bias": wanted.expand_as(bias).clone(),
        }


class FullFamily(Family):
    """`full`: heads for the diagonal of L and, row by row, for what is below it."""

    is_full = True

    def heads(self, latent: int) -> dict[str, int]:
        """See `Family`."""
        below = latent * (latent - 1) // 2
        return {"std": latent} | ({"lower": below} if below else {})

    def posterior(
        self,
        mean: Tensor,
        raw: Sequence[Tensor],
        positive: Positive,
        scale: Tensor,
        own: Mapping[str, Tensor],  # noqa: ARG002
    ) -> Posterior:
        """See `Family`. L_jj = softplus(raw), L_ij = raw below the diagonal."""
        cholesky = torch.diag_embed(positive(raw[0]))
        if len(raw) > 1:
            latent = mean.shape[-1]
            rows, columns = torch.tril_indices(latent, latent, -1, device=mean.device)
            below = torch.zeros_like(cholesky)
            below[..., rows, columns] = raw[1]
            cholesky = cholesky + below
        return FullPosterior(mean, scale.unsqueeze(-1) * cholesky)


FAMILIES: dict[str, Family] = {
    "constant": ConstantFamily(),
    "shared": SharedFamily(),
    "diagonal": Family(),
    "diagonal-from-constant": DiagonalFromConstantFamily(),
    "full": FullFamily(),
}


def joined(blocks: Sequence[Posterior], varies: bool) -> DiagonalPosterior:
    """The marginals of consecutive blocks of a set as one posterior.

    Args:
        blocks: q(z|x) of each block.
        varies: whether Sigma depends on x.
    """
    std = torch.cat([block.std for block in blocks], -2) if varies else blocks[0].std
    return DiagonalPosterior(torch.cat([block.mean for block in blocks], -2), std)
