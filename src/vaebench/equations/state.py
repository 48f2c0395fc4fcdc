"""All statistics of one state of a run: trained, or before its first step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaebench.equations import priors
from vaebench.equations.closed_form import ClosedForm
from vaebench.equations.decoders import closed_form_statistics
from vaebench.equations.determinants import determinant_errors
from vaebench.equations.penalty import Penalty, constant_sigma, insensitivity
from vaebench.equations.per_image import PerImage, per_image
from vaebench.equations.summaries import per_image_statistics
from vaebench.errors import UserError
from vaebench.evidence.ais import annealed
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.grid import converged_grid, grid_for, integrate
from vaebench.evidence.local import Model, model_of
from vaebench.evidence.refine import refine
from vaebench.experiment.equations import EquationsPlan
from vaebench.numerics.streams import generator as stream
from vaebench.progress import log

MOST_POINTS = 2400
"""Of a grid, in each dimension."""
INITIAL_POINTS = 300
"""Of the first grid for an untrained network, whose posteriors are wide."""
ANNEALED_AT_ONCE = 50
REFINED_AT_ONCE = 100


class Images(NamedTuple):
    """Images of a dataset, uint8 of shape [N, pixel]."""

    train: Tensor
    test: Tensor


@dataclass(frozen=True)
class Found:
    """What is measured on a state."""

    statistics: dict[str, float]
    refined: dict[str, float]
    """The statistics of images, of the refined q."""
    per_image: PerImage
    posteriors: Gaussians
    """q(z|x) of the test images."""
    closed: ClosedForm | None
    active: Tensor
    log_p: Tensor
    not_measured: dict[str, str]
    """Why statistics are missing, by the beginning of their names."""


def measure_state(
    density: Density, images: Images, plan: EquationsPlan, settings: dict[str, Any], name: str
) -> Found:
    """Measure a state.

    Args:
        density: its densities.
        images: of the dataset.
        plan: how.
        settings: the run's own `tau` and `batch_size`, as far as it has them.
        name: of the state. Random numbers depend on it. The untrained state is not refined.

    Raises:
        UserError: the run's network or likelihood is not one that the equations are measured on.
    """
    model, seed = model_of(density), plan.seed
    x = density.data(images.test[: plan.images])
    q = density.encode(x)
    whole = _encode_all(density, images.train)
    active = priors.active(whole, density.prior)
    log_p = exact_evidence(density, x, q, plan, name)
    measured = per_image(model, x, q, log_p, seed, name)
    not_measured: dict[str, str] = {}
    found = per_image_statistics(measured, active.cpu())
    found |= _prior_statistics(density, whole, settings, not_measured)
    found |= determinant_errors(model, q.mean, measured.curvature)
    found |= _penalties(model, x, q, measured, seed, name)
    if "tau" in settings:
        found |= _bounded(density, images.train, whole, active, settings, seed)
    closed = None
    try:
        closed = ClosedForm.of(density.data(images.train), whole)
        few = density.data(images.test[: plan.regressed])
        first = density.data(images.train[: plan.regressed])
        found |= closed_form_statistics(
            *(model, closed, (first, density.encode(first)), (few, density.encode(few))),
            *(seed, name),
        )
    except UserError as error:
        not_measured |= dict.fromkeys(("eq6", "eq7", "eq8"), str(error))
    refined = {}
    if plan.refined and name != "initial":
        refined = _refined(model, x, q, log_p, plan, active.cpu())
    return Found(found, refined, measured, q, closed, active, log_p, not_measured)


def _encode_all(density: Density, levels: Tensor) -> Gaussians:
    parts = [density.encode(density.data(part)) for part in levels.split(5000)]
    return Gaussians(torch.cat([p.mean for p in parts]), torch.cat([p.factor for p in parts]))


def exact_evidence(
    density: Density, x: Tensor, q: Gaussians, plan: EquationsPlan, name: str
) -> Tensor:
    """log p(x), float64 of shape [N] on the CPU.

    By a grid for one or two latent dimensions, unless it would have to be too fine. Else by
    annealing.
    """
    if density.latent_dim <= 2:
        try:
            points = INITIAL_POINTS if name == "initial" else None
            coarsest = grid_for(density, q, points)
            grid, _, first = converged_grid(density, x, q, coarsest, MOST_POINTS)
            is_all = len(first.log_p) == len(x)
            return (first if is_all else integrate(density, x, q, grid)).log_p
        except UserError as error:
            log.info(f"[equations] {error}: annealing takes its place")
    found = []
    for start in range(0, len(x), ANNEALED_AT_ONCE):
        rows = slice(start, start + ANNEALED_AT_ONCE)
        chosen = (plan.temperatures, plan.chains, plan.seed, f"equations {name} {start}")
        found.append(annealed(density, x[rows], q.rows(rows), *chosen).log_p)
    return torch.cat(found)


def _prior_statistics(
    density: Density, whole: Gaussians, settings: dict[str, Any], not_measured: dict[str, str]
) -> dict[str, float]:
    fitted, prior = priors.fit(whole), density.prior
    active = priors.active(whole, prior)
    ratio = fitted.ratio(prior)[active if bool(active.any()) else ~active]
    found = {
        "eq4_deviation": float((ratio - 1).abs().mean()),
        "eq4_gain": fitted.gain(prior),
        "eq4_full_gain": fitted.full_gain,
    }
    std = priors.constant_std(whole)
    if std is None:
        reason = "Σ depends on x, and these equations are for a constant one"
        not_measured |= dict.fromkeys(("eq23", "eq24", "eq28", "eq30"), reason)
        return found
    of_23, of_24 = priors.rate_of_23(whole, std), priors.rate_of_24(whole, std)
    full, diagonal = (priors.rate_of_2(whole, fitted.second, each) for each in (True, False))
    moment = whole.mean.double().square().mean(0)
    share = moment / (std.square() + moment)
    size = min(int(settings["batch_size"]), len(whole.mean))
    return found | {
        "eq23_error": of_23 / full - 1,
        "eq24_error": of_24 / diagonal - 1,
        "eq24_batch_bias": priors.batch_bias(whole, std, size),
        "eq24_batch_bias_predicted": 0.5 * float(share.square().sum()) / size,
    }


def _penalties(
    model: Model, x: Tensor, q: Gaussians, measured: PerImage, seed: int, name: str
) -> dict[str, float]:
    def cost(full: bool) -> Penalty:
        return constant_sigma(model, x, q.mean, measured.curvature, seed, name, full)

    full = cost(True)
    own = full if q.is_full else cost(False)
    return {
        "eq21_insensitivity": insensitivity(model, x, q, seed, f"insensitivity {name}"),
        "eq22_measured": own.measured,
        "eq22_error": own.error,
        "eq22_share": own.measured / abs(float(measured.elbo.mean())),
        "eq22_predicted": own.predicted,
        "eq22_second_order": own.second_order,
        "eq22_misfit": own.misfit(own.predicted),
        "eq22_second_order_misfit": own.misfit(own.second_order),
        "eq22_full_measured": full.measured,
        "eq22_full_predicted": full.predicted,
        "eq22_full_misfit": full.misfit(full.predicted),
    }


def _bounded(
    density: Density,
    levels: Tensor,
    whole: Gaussians,
    active: Tensor,
    settings: dict[str, Any],
    seed: int,
) -> dict[str, float]:
    """Eqs. 28 to 30 of a run with BAGGINS."""
    std = priors.constant_std(whole)
    if std is None:
        return {}
    tau, pixels, n = float(settings["tau"]), density.pixels, density.latent_dim
    rows = slice(0, int(settings["batch_size"]))
    x, q = density.data(levels[rows]), whole.rows(rows)
    noise = torch.empty_like(q.mean)
    noise.normal_(generator=stream(seed, "samples", "equations bounded", x.device))
    mean = density.vae.likelihood.mean(density.decode(q.z(noise)).output)
    of_24, of_30 = priors.bilbo_with_29(q, std, (x - mean).square().sum(-1), pixels, tau)
    u = torch.tensor(priors.information(whole, std)).log()
    optima = [priors.best_information(n, pixels, tau, k) for k in (n, int(active.sum()))]
    return {
        "eq28_information": float(u - torch.tensor(optima[0]).log()),
        "eq28_information_active": float(u - torch.tensor(optima[1]).log()),
        "eq30_error": of_30 / of_24 - 1,
    }


def _refined(
    model: Model, x: Tensor, q: Gaussians, log_p: Tensor, plan: EquationsPlan, active: Tensor
) -> dict[str, float]:
    count = min(plan.refined, len(x))
    parts = []
    for start in range(0, count, REFINED_AT_ONCE):
        rows = slice(start, min(start + REFINED_AT_ONCE, count))
        one, name = q.rows(rows), f"equations {start}"
        chosen = (one, one.std, one.is_full, plan.seed, name)
        parts.append(refine(model.density, x[rows], *chosen))
    best = Gaussians(torch.cat([p.mean for p in parts]), torch.cat([p.factor for p in parts]))
    measured = per_image(model, x[:count], best, log_p[:count], plan.seed, "refined")
    return per_image_statistics(measured, active)
