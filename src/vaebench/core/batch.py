"""What an objective sees of a mini-batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from vaebench.core.posterior import Posterior
from vaebench.core.prior import Prior, batch_prior, kl_by_dimension

Draw = Callable[[str, tuple[int, ...]], Tensor]
"""Standard normal draws of a stream by name, of shape [run, *shape]."""


def no_noise(name: str, shape: tuple[int, ...]) -> Tensor:  # noqa: ARG001
    """The source of noise for an objective that is computed outside of a run: there is none.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"there is no stream '{name}' here")


@dataclass(frozen=True)
class Clock:
    """The progress of the training."""

    step: int | Tensor
    """The number of steps done. A tensor on a GPU, whose recorded steps read it from there."""
    steps: int
    """The number of steps of the whole training."""
    steps_per_epoch: int


@dataclass(frozen=True)
class Batch:
    """A mini-batch of each run of a pack, with the posterior, the draws of z and the densities.

    The first dimension is `run`. Values of one run must not depend on another run. If the objective
    asks for several draws of z (`samples`), the second dimension is `draw`: z has the shape
    [run, draw, batch, latent], the log densities [run, draw, batch], and the tensors of the
    posterior [run, 1, batch, ...]. Without `samples` there is one draw, without that dimension.
    """

    x: Tensor
    """The data, times `data_scale` if the likelihood has it, shape [run, batch, pixel]."""
    posterior: Posterior
    """q(z|x), with `mean`, `std`, `log_density(z)` and more."""
    z: Tensor
    """One draw from the posterior of each example, or several."""
    log_likelihood: Tensor
    """log p(x|z) in nats."""
    prior_name: str
    data_size: int
    """The number of training images N."""
    clock: Clock
    draw: Draw = no_noise
    used: set[str] = field(default_factory=set)
    """Which of `noise` and `progress` the objective has used."""

    @cached_property
    def prior(self) -> Prior:
        """p(z), with `log_density(z)` and `kl(posterior)`. A floating one has this batch's S^2."""
        return batch_prior(self.prior_name, self.posterior)

    @cached_property
    def kl(self) -> Tensor:
        """KL(q(z|x) | p(z)) of each example in closed form, nats, shape [run, (1,) batch]."""
        return self.prior.kl(self.posterior)

    @cached_property
    def kl_by_dimension(self) -> Tensor:
        """The KL divergence of each latent dimension in nats, shape [run, (1,) batch, latent].

        It is that of the marginals if the posterior or the prior is not diagonal.
        """
        return kl_by_dimension(self.posterior.marginal(), self.prior.variance)

    @cached_property
    def log_posterior(self) -> Tensor:
        """log q(z|x) in nats, shape of `log_likelihood`."""
        return self.posterior.log_density(self.z)

    @cached_property
    def log_prior(self) -> Tensor:
        """log p(z) in nats, shape of `log_likelihood`."""
        return self.prior.log_density(self.z)

    @property
    def progress(self) -> Tensor:
        """The share of the training that is done, from 0 to 1: a tensor without dimensions.

        If the objective uses it, the run cannot be continued to more epochs.
        """
        self.used.add("progress")
        return self._step / self.clock.steps

    @property
    def epoch(self) -> Tensor:
        """The number of epochs that are done, with decimals: a tensor without dimensions."""
        return self._step / self.clock.steps_per_epoch

    @property
    def _step(self) -> Tensor:
        return torch.as_tensor(self.clock.step, dtype=self.x.dtype, device=self.x.device)

    def noise(self, name: str, *shape: int) -> Tensor:
        """Standard normal draws from a stream of each run, of shape [run, *shape].

        The stream depends on the seed of the run, the step and `name`. So two runs of one seed draw
        the same numbers. Torch's own random numbers would differ each time.
        """
        self.used.add("noise")
        return self.draw(name, shape)
