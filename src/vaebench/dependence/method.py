"""Measures what of a run depends on the input."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.dependence.codes import active, bounds, replaced, spread
from vaebench.dependence.completion import Completion
from vaebench.dependence.likelihood import likelihoods
from vaebench.dependence.regression import held_out_r2
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.importance import UNTRUSTWORTHY
from vaebench.experiment.dependence import DependencePlan
from vaebench.numerics.streams import generator

AT_ONCE = 500
"""Images of a block."""

Floats = NDArray[np.float64]


def measure(
    density: Density, train: Tensor, test: Tensor, plan: DependencePlan
) -> tuple[dict[str, float], dict[str, Floats]]:
    """Measure a run on the first test images.

    Args:
        density: of the run, a `Completion` if it is conditional.
        train: training images, levels 0..255 as uint8 of shape [N, pixel].
        test: test images.
        plan: how.

    Returns:
        Statistics, by the names in `DEPENDENCE_STATISTICS`; and numbers of each image: `log_p_is`,
        `log_p_mc`, `shape_is`, `shape_mc` and the bounds `bound`, `bound_mean`, `bound_std` and
        `bound_precision`.
    """
    x = density.data(test[: plan.images])
    q = density.encode(x)
    arrays = _of_images(density, x, q, plan)
    found = _likelihoods(arrays)
    dimensions = active(density, q)
    if dimensions.any():
        found |= _codes(q, dimensions)
    for name in ("mean", "std", "precision"):
        if f"bound_{name}" in arrays:
            cost = arrays["bound"] - arrays[f"bound_{name}"]
            found[f"{name}_cost"] = float(cost.mean())
            if name != "mean":
                found[f"{name}_cost_error"] = _error(cost)
    if isinstance(density, Completion) and dimensions.any():
        found |= _conditional(density, x, q, density.data(train[: plan.regressed]), dimensions)
    return found, arrays


def _of_images(
    density: Density, x: Tensor, q: Gaussians, plan: DependencePlan
) -> dict[str, Floats]:
    parts: list[dict[str, Tensor]] = []
    # A mean over images is one over all of them, not over a block.
    others = {} if q.is_full else replaced(q)
    for start in range(0, len(x), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        own = {"bound": q.rows(rows)}
        own |= {f"bound_{name}": one.rows(rows) for name, one in others.items()}
        stream = generator(plan.seed, "evaluation", f"dependence/bounds/{start}", x.device)
        part = bounds(density, x[rows], own, stream)
        stream = generator(plan.seed, "evaluation", f"dependence/draws/{start}", x.device)
        log_p = likelihoods(density, x[rows], q.rows(rows), plan.draws, stream)
        part |= {"log_p_is": log_p.by_encoder, "log_p_mc": log_p.by_prior}
        part |= {"shape_is": log_p.shape_of_encoder, "shape_mc": log_p.shape_of_prior}
        parts.append(part)
    return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}


def _likelihoods(arrays: dict[str, Floats]) -> dict[str, float]:
    by_encoder, by_prior = arrays["log_p_is"], arrays["log_p_mc"]
    return {
        "bound": float(arrays["bound"].mean()),
        "log_p_is": float(by_encoder.mean()),
        "log_p_is_error": _error(by_encoder),
        "log_p_mc": float(by_prior.mean()),
        "log_p_mc_error": _error(by_prior),
        "mc_loss": float((by_encoder - by_prior).mean()),
        "shape_is": float(np.median(arrays["shape_is"])),
        "shape_is_high": float((arrays["shape_is"] > UNTRUSTWORTHY).mean()),
        "shape_mc_high": float((arrays["shape_mc"] > UNTRUSTWORTHY).mean()),
    }


def _codes(q: Gaussians, dimensions: Tensor) -> dict[str, float]:
    found = spread(q, dimensions)
    return {
        "mean_variance": float(found.of_mean.mean()),
        "mean_share": float(found.share_of_mean.mean()),
        "log_std_spread": float(found.of_log_std.sqrt().mean()),
    }


def _conditional(
    density: Completion, x: Tensor, q: Gaussians, train: Tensor, dimensions: Tensor
) -> dict[str, float]:
    known, new = density.given(train).seen[0], density.given(x).seen[0]
    codes = density.encode(train).mean[:, dimensions]
    r2 = held_out_r2(known, codes, new, q.mean[:, dimensions])
    found = {"code_r2": float(r2.mean())}
    prior = density.prior_of(x)
    if prior is not None:
        moved = prior.mean.var(0, correction=0)
        share = moved / (moved + prior.scale.square().mean(0))
        found["prior_share"] = float(share[dimensions].mean())
    return found


def _error(values: Floats) -> float:
    """The standard error of the mean; NaN for one image."""
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")
