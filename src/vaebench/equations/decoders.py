"""Eqs. 6 to 8 on a run: its decoder beside the closed-form one."""

from __future__ import annotations

import torch
from torch import Tensor

from vaebench.core.vae import blocks
from vaebench.equations.closed_form import LEAST_SHARE, ClosedForm, curved_share
from vaebench.evidence.gaussians import Gaussians, antithetic
from vaebench.evidence.local import Model
from vaebench.numerics.streams import generator as stream

JACOBIANS = {True: 300, False: 50}
"""Test images for Eq. 7: for at most two latent dimensions, and for more, whose Jacobians of an
untrained network take products with the whole training set."""
CURVED_IMAGES, CURVED_PAIRS = 100, 8
CHECKED, STEP = 5, 1e-4
"""Codes and step of the central difference, the step in standard deviations of q."""


def closed_form_statistics(
    model: Model,
    closed: ClosedForm,
    train: tuple[Tensor, Gaussians],
    test: tuple[Tensor, Gaussians],
    seed: int,
    name: str,
) -> dict[str, float]:
    """Compare the decoders.

    Args:
        model: the run.
        closed: the closed-form decoder of its training set.
        train: scaled data of training images, the first of the set, and their q(z|x).
        test: the same of test images.
        seed: of the random numbers.
        name: names the random stream.
    """
    random = stream(seed, "samples", f"closed form {name}", train[0].device)
    found: dict[str, float] = {}
    for which, (x, q) in (("train", train), ("test", test)):
        z = q.z(torch.empty_like(q.mean).normal_(generator=random))
        nu, weights = closed.mean_at(z)
        gain = expected(model, x, nu) - expected(model, x, network_mean(model, z))
        found[f"eq6_{which}_gain"] = float(gain.mean())
        found[f"eq6_{which}_gain_error"] = float(gain.std() / len(gain) ** 0.5)
        if which == "test":
            found["eq6_effective_images"] = float(weights.effective.median())
        else:
            own = closed.own_weight(z, torch.arange(len(z), device=z.device))
            found["eq6_own_weight"] = float(own.mean())
    return found | _jacobians(model, closed, test[1]) | _curved(model, closed, test[1], random)


def network_mean(model: Model, z: Tensor) -> Tensor:
    """The network's means of p(x|z), float64 of shape [..., pixel]."""
    return model.mean(model.decoder.outputs(z)).double()


def expected(model: Model, x: Tensor, mean: Tensor) -> Tensor:
    """log p(x) under a likelihood with these means, but for a constant: float64 of shape [N]."""
    at = x.double()
    if model.variance is None:
        share = mean.clamp(LEAST_SHARE, 1 - LEAST_SHARE)
        return (at * share.log() + (1 - at) * (-share).log1p()).sum(-1)
    return -0.5 * ((at - mean).square() / model.variance.double()).sum(-1)


def _jacobians(model: Model, closed: ClosedForm, q: Gaussians) -> dict[str, float]:
    mu = q.mean[: JACOBIANS[model.density.latent_dim <= 2]]
    norms, cosines, differences = [], [], []
    for block in blocks(len(mu), 25):
        best = closed.jacobian_at(mu[block]).flatten(1)
        output, jacobian = model.decoder.with_jacobian(mu[block])
        own = model.mean_jacobian(output, jacobian).double().flatten(1)
        norms.append((own.norm(dim=1) / best.norm(dim=1)).log())
        cosines.append(torch.cosine_similarity(own, best))
        differences.append((own - best).norm(dim=1) / best.norm(dim=1))
    few, dimension = mu[:CHECKED].double(), 0
    shift = torch.zeros_like(few)
    shift[:, dimension] = STEP * q.std[: len(few), dimension].double()
    sides = [closed.in_double().mean_at(few + sign * shift)[0] for sign in (1, -1)]
    difference = (sides[0] - sides[1]) / (2 * shift[:, dimension, None])
    exact = closed.jacobian_at(few)[:, dimension]
    return {
        "eq7_log_norm": float(torch.cat(norms).median()),
        "eq7_difference": float(torch.cat(differences).median()),
        "eq7_cosine": float(torch.cat(cosines).median()),
        "eq7_check": float(torch.dist(difference, exact) / exact.norm()),
    }


def _curved(
    model: Model, closed: ClosedForm, q: Gaussians, random: torch.Generator
) -> dict[str, float]:
    q = q.rows(slice(0, CURVED_IMAGES))
    noise = antithetic(CURVED_PAIRS, q.mean, random)
    z = q.z(noise)
    shape = (2, CURVED_PAIRS, len(q.mean), -1)
    best = closed.mean_at(z.flatten(0, 1))[0].reshape(shape)
    own = network_mean(model, z).reshape(shape)
    of_best = curved_share(best, closed.mean_at(q.mean)[0])
    of_network = curved_share(own, network_mean(model, q.mean))
    return {
        "eq8_curved_closed": float(of_best.median()),
        "eq8_curved_network": float(of_network.median()),
    }
