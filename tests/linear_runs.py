"""Densities of networks that compute linear maps, whose evidence has a closed form."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaebench.core.prior import DiagonalPrior
from vaebench.evidence.density import Density
from vaebench.experiment.settings import Settings
from vaebench.models.make import make_vae

CPU = torch.device("cpu")


@dataclass(frozen=True)
class LinearRun:
    """p(x|z) = N(W z + b, T I), p(z) = N(0, S^2), with a network of ReLU units that is linear."""

    density: Density
    weight: Tensor
    """W, float64 of shape [pixel, latent]."""
    offset: Tensor
    """b, shape [pixel]."""
    variance: float
    prior_std: Tensor
    """S, shape [latent]."""

    @property
    def posterior_covariance(self) -> Tensor:
        """Of p(z|x), shape [latent, latent]."""
        precision = self.weight.T @ self.weight / self.variance + torch.diag(self.prior_std**-2)
        inverse: Tensor = torch.linalg.inv(precision)
        return inverse

    def posterior_mean(self, x: Tensor) -> Tensor:
        """Shape [N, latent]."""
        return (x - self.offset) @ self.weight @ self.posterior_covariance / self.variance

    def log_p(self, x: Tensor) -> Tensor:
        """log N(x; b, W S^2 W' + T I), shape [N]."""
        scaled = self.weight * self.prior_std
        covariance = scaled @ scaled.T + self.variance * torch.eye(len(self.offset)).double()
        normal = torch.distributions.MultivariateNormal(self.offset, covariance)
        density: Tensor = normal.log_prob(x)
        return density

    def images(self, count: int, seed: int = 1) -> Tensor:
        """Draws of x from the model, float64."""
        random = torch.Generator().manual_seed(seed)
        latent = len(self.prior_std)
        z = torch.randn(count, latent, generator=random).double() * self.prior_std
        noise = torch.randn(count, len(self.offset), generator=random).double()
        return z @ self.weight.T + self.offset + math.sqrt(self.variance) * noise


def linear_run(
    latent: int,
    pixels: int,
    scale: float = 0.5,
    variance: float = 0.4,
    std_factor: float = 1.0,
    mean_error: float = 0.0,
    **settings: Any,
) -> LinearRun:
    """A run in float64.

    Args:
        latent: n.
        pixels: m.
        scale: the standard deviation of the entries of W.
        variance: T.
        std_factor: the encoder's standard deviations, over the best ones of a diagonal posterior.
        mean_error: what the encoder's means are off by, in standard deviations.
        settings: of the run, other than usual.
    """
    random = torch.Generator().manual_seed(latent)
    weight = scale * torch.randn(pixels, latent, generator=random).double()
    offset = torch.randn(pixels, generator=random).double()
    prior_std = 0.5 + torch.rand(latent, generator=random).double()
    values = {
        **{"dataset": "digits", "likelihood": "gaussian-shared-batch", "objective": "learned"},
        **{"latent_dim": latent, "network": "mlp", "hidden_units": 2 * latent, "hidden_layers": 1},
        **{"batch_size": 100, "learning_rate": 0.001, "epochs": 1, "seed": 0},
    }
    vae = make_vae([Settings.model_validate(values | settings)], (pixels, 1), CPU)
    prior = DiagonalPrior(prior_std.square()[None, None])
    blank = vae.network.initialise([vae.network.shared], CPU)
    parameters = {name: torch.zeros_like(tensor).double() for name, tensor in blank.items()}
    run = LinearRun(
        Density(vae, parameters, prior, variance, torch.float64),
        *(weight, offset, variance, prior_std),
    )
    covariance = run.posterior_covariance
    gain = weight @ covariance / variance
    std = torch.linalg.inv(covariance).diagonal().rsqrt()
    # max(0, a) - max(0, -a) = a
    both = torch.cat([torch.eye(latent), -torch.eye(latent)]).double()
    parameters["encoder.hidden1.weight"] = gain[None] @ both.T
    parameters["encoder.hidden1.bias"] = (-offset @ gain @ both.T)[None, None]
    parameters["encoder.mean.weight"] = both[None]
    parameters["encoder.mean.bias"] = (mean_error * std)[None, None]
    if "encoder.std.bias" in parameters:
        parameters["encoder.std.bias"] = (std_factor * std).expm1().log()[None, None]
    parameters["decoder.hidden1.weight"] = both.T[None]
    parameters["decoder.output.weight"] = (both @ weight.T)[None]
    parameters["decoder.output.bias"] = offset[None, None]
    if "decoder.shared_std" in parameters:
        parameters["decoder.shared_std"][:] = math.log(math.expm1(math.sqrt(variance)))
    return run
