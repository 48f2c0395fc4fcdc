"""Measures the aggregated posterior of a run."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.core.prior import DiagonalPrior
from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians, standard_log_density
from vaebench.evidence.grid import Grid
from vaebench.experiment.evidence import LARGEST_GRID
from vaebench.experiment.latent import LatentPlan
from vaebench.latent.codes import Codes, codes_of, unwhitened
from vaebench.latent.correlation import (
    covariances,
    curvature_precisions,
    grid_precisions,
    mean_correlation,
)
from vaebench.latent.divergence import Divergence, Mean, divergence, gaussian_kl
from vaebench.latent.mixture import Moments, log_density_on_tile, moments
from vaebench.latent.mmd import squared_mmd
from vaebench.latent.prior_evidence import prior_evidence
from vaebench.latent.rotation import rotation
from vaebench.latent.samples import drawn_codes, pixels_of, reference_for, sampled
from vaebench.numerics.streams import generator
from vaebench.progress import log
from vaebench.quality.classifier import to_images
from vaebench.runs.latent_record import (
    AxesOfPosteriors,
    ByPrior,
    Discrepancy,
    Latent,
    MatchedMoments,
    Mismatch,
    Sampled,
    Uncertain,
)

ACTIVE_NATS = 0.01
GRID_POINTS = 240
"""In each dimension, for the picture of q_N and the check of KL(q_N | p)."""
GRID_REACH = 6.0
SHOWN_SAMPLES = 48
MMD_DRAWS = 10_000
"""The most codes for the MMD, whose pairs are summed over."""

Named = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Sources:
    """Where the images of a run come from, and the classifier for its samples."""

    dataset: str
    data: Path
    """The folder with `prepared/`."""
    store: Path | None
    """Keeps classifiers. None: nothing is kept."""
    images: Arrays


def measure(density: Density, sources: Sources, plan: LatentPlan) -> tuple[Latent, Named]:
    """Measure the aggregated posterior of a run against its prior.

    Returns:
        What the record of the run has, and arrays: `mean`, `covariance` and `kl` of the latent
        dimensions (whitened); `samples_*`, uint8 images by where z is drawn from; for two
        dimensions `log_density` of q_N on the grid `axis` x `axis`.
    """
    images, device = sources.images, density.device
    train_levels, test_levels = (
        torch.from_numpy(x.reshape(len(x), -1)) for x in (images.train_images, images.test_images)
    )
    train, test = codes_of(density, train_levels), codes_of(density, test_levels)
    fitted = moments(train)
    active = fitted.kl > ACTIVE_NATS
    random = generator(plan.seed, "samples", "latent", device)
    found, drawn = divergence(train, test, fitted, plan.draws, random)
    log.info(f"[latent] KL(q_N | p) between {found.held_out.value:.2f} and {found.kl.value:.2f}")
    arrays: Named = {
        "mean": fitted.mean.cpu().numpy(),
        "covariance": fitted.covariance.cpu().numpy(),
        "kl": fitted.kl.cpu().numpy(),
    }
    on_grid = None
    if density.latent_dim == 2:
        on_grid, density_on_grid = _on_grid(train.all())
        arrays |= density_on_grid
    codes = drawn_codes(train, fitted, max(plan.samples, SHOWN_SAMPLES), plan.seed, device)
    shape = images.test_images.shape[1:]
    arrays |= {
        f"samples_{name}": _levels(pixels_of(density, z[:SHOWN_SAMPLES], shape))
        for name, z in codes.items()
    }
    missing: dict[str, str] = {}
    record = Latent(
        train_images=train.count,
        test_images=test.count,
        latent_dim=density.latent_dim,
        moments=_moments(fitted, active),
        mismatch=_mismatch(density, fitted, found, train.count, on_grid),
        discrepancy=_discrepancy(drawn[:MMD_DRAWS], active, plan.seed),
        evidence=_evidence(density, test_levels, train, test, fitted, plan, missing),
        samples=_samples(density, sources, codes, plan, missing),
        axes=_axes(density, test_levels, test, active, plan, missing),
        not_measured=missing,
    )
    return record, arrays


def _moments(fitted: Moments, active: Tensor) -> MatchedMoments:
    variance, share = fitted.variance, fitted.of_means / fitted.variance
    kurtosis = fitted.kurtosis.abs()
    values: dict[str, float | None] = dict.fromkeys(
        ("variance_low", "variance_mean", "variance_high", "mean_size", "correlation")
    )
    values |= {"kurtosis": None, "share_of_means": None}
    count = int(active.sum())
    if count:
        std = variance[active].sqrt()
        correlations = fitted.covariance[active][:, active] / std / std[:, None]
        values |= {
            "variance_low": float(variance[active].min()),
            "variance_mean": float(variance[active].mean()),
            "variance_high": float(variance[active].max()),
            "mean_size": float(fitted.mean[active].abs().max()),
            "kurtosis": float(kurtosis[active].mean()),
            "share_of_means": float(share[active].mean()),
        }
        if count > 1:
            values["correlation"] = float(correlations.fill_diagonal_(0).abs().max())
    return MatchedMoments.model_validate(
        values
        | {
            "active": count,
            "variance_mean_all": float(variance.mean()),
            "kurtosis_all": float(kurtosis.mean()),
            "share_of_means_all": float(share.mean()),
        }
    )


def _mismatch(
    density: Density, fitted: Moments, found: Divergence, images: int, on_grid: float | None
) -> Mismatch:
    lower = torch.linalg.cholesky(fitted.covariance)
    # Rows of L' are turned back as codes are: Cov(S u) = (S L)(S L)'.
    wide = unwhitened(lower.T, density.prior)
    prior = density.prior
    return Mismatch(
        rate=found.rate,
        information=_uncertain(found.information),
        log_images=float(np.log(images)),
        kl=_uncertain(found.kl),
        held_out=_uncertain(found.held_out),
        linear=found.linear,
        shape=found.shape,
        gaussian_gain=_uncertain(found.gaussian_gain),
        linear_from_standard=gaussian_kl(unwhitened(fitted.mean, prior), wide.T @ wide),
        is_standard=isinstance(prior, DiagonalPrior) and bool((prior.square == 1).all()),
        kl_on_grid=on_grid,
    )


def _discrepancy(z: Tensor, active: Tensor, seed: int) -> Discrepancy:
    random = generator(seed, "samples", "latent null", z.device)
    null = torch.empty_like(z).normal_(generator=random)

    def named(codes: Tensor) -> dict[str, float]:
        if not codes.shape[1]:
            return {}
        return {f"{scale:g}": value for scale, value in squared_mmd(codes).items()}

    return Discrepancy(
        all=named(z),
        all_null=named(null),
        active=named(z[:, active]),
        active_null=named(null[:, active]),
    )


def _evidence(
    density: Density,
    levels: Tensor,
    train: Codes,
    test: Codes,
    fitted: Moments,
    plan: LatentPlan,
    missing: dict[str, str],
) -> ByPrior | None:
    if density.latent_dim > LARGEST_GRID:
        missing["evidence"] = "exact evidence is for one or two latent dimensions"
        return None
    if not plan.images:
        missing["evidence"] = "not asked for"
        return None
    count = min(plan.images, test.count)
    log.info(f"[latent] evidence of {count} images under three priors")
    found = prior_evidence(density, levels[:count], train.all(), test.make(slice(count)), fitted)
    prior, gaussian, aggregated = found.log_p
    return ByPrior(
        images=count,
        points=found.points,
        moved=found.moved,
        prior=float(prior.mean()),
        gaussian_gain=_uncertain(Mean.of(gaussian - prior)),
        aggregated_gain=_uncertain(Mean.of(aggregated - prior)),
    )


def _samples(
    density: Density,
    sources: Sources,
    codes: dict[str, Tensor],
    plan: LatentPlan,
    missing: dict[str, str],
) -> Sampled | None:
    if not plan.samples:
        missing["samples"] = "not asked for"
        return None
    try:
        reference = reference_for(sources.dataset, sources.data, sources.store, density.device)
    except UserError as error:
        missing["samples"] = str(error)
        return None
    log.info(f"[latent] {plan.samples} samples from each distribution of z")
    random = generator(plan.seed, "samples", "latent floor")
    images = sources.images.train_images
    chosen = torch.randperm(len(images), generator=random)[: plan.samples].numpy()
    return sampled(density, codes, reference, to_images(images[chosen], density.device))


def _axes(
    density: Density,
    levels: Tensor,
    test: Codes,
    active: Tensor,
    plan: LatentPlan,
    missing: dict[str, str],
) -> AxesOfPosteriors | None:
    count = min(plan.turned, test.count)
    if not count or int(active.sum()) < 2:
        missing["axes"] = "not asked for" if not count else "fewer than two active dimensions"
        return None
    log.info(f"[latent] axes of {count} posteriors")
    random = generator(plan.seed, "samples", "latent axes", density.device)
    known: dict[str, Tensor] = {}
    reasons = []
    try:
        known["curvature"] = curvature_precisions(density, levels[:count], random)
    except UserError as error:
        reasons.append(str(error))
    if density.latent_dim <= LARGEST_GRID:
        try:
            known["grid"] = grid_precisions(density, levels[:count])
        except UserError as error:
            reasons.append(str(error))
    if not known:
        missing["axes"] = "; ".join(reasons)
        return None
    exact_source, loss_source = next(reversed(known)), next(iter(known))
    kept = active.nonzero()[:, 0]

    def of_active(matrices: Tensor) -> Tensor:
        return matrices[:, kept][:, :, kept]

    found = rotation(of_active(known[loss_source]), random)
    sigma = covariances(test.make(slice(count)))
    return AxesOfPosteriors.model_validate(
        {
            "images": count,
            "source": exact_source,
            "loss_source": loss_source,
            "correlation": mean_correlation(of_active(sigma)),
            "correlation_exact": mean_correlation(of_active(known[exact_source].inverse())),
            "loss": found.loss,
            "random": found.random,
            "best": found.best,
            "alignment": found.alignment,
        }
    )


def _on_grid(train: Gaussians) -> tuple[float, Named]:
    """KL(q_N | p) as a sum over a grid of two dimensions, and log q_N on it."""
    reach = float((train.mean.abs() + 5 * train.std).max().clamp(min=GRID_REACH))
    grid = Grid((reach, reach), GRID_POINTS)
    total, values = 0.0, []
    for tile in grid.tiles(train.mean.device):
        log_q = log_density_on_tile(train, tile)
        weights = (log_q + grid.log_cell).exp()
        difference = torch.where(weights > 0, log_q - standard_log_density(tile), 0.0)
        total += float((weights * difference).sum())
        values.append(torch.cat([tile, log_q[:, None]], 1))
    table = torch.cat(values).cpu().numpy()
    # The tiles' points in the order of the grid: the first dimension first.
    order = np.lexsort((table[:, 1], table[:, 0]))
    axis = np.linspace(-reach, reach, GRID_POINTS)
    found = table[order, 2].reshape(GRID_POINTS, GRID_POINTS).astype(np.float32)
    return total, {"axis": axis, "log_density": found}


def _levels(pixels: Tensor) -> NDArray[np.uint8]:
    return (pixels * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def _uncertain(mean: Mean) -> Uncertain:
    return Uncertain(**asdict(mean))
