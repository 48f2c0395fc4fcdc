"""Measures the evidence of a run with everything that says how far it can be trusted."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.errors import UserError
from vaebench.evidence.ais import annealed
from vaebench.evidence.bdmc import bracket
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import Gaussians
from vaebench.evidence.grid import (
    LEAST_GAP,
    MOST_POINTS,
    Convergence,
    Grid,
    GridPosteriors,
    check_gaps,
    converged_grid,
    exact_elbo,
    grid_for,
    integrate,
)
from vaebench.evidence.importance import (
    UNTRUSTWORTHY,
    importance_bound,
    importance_weights,
    pareto_shape,
)
from vaebench.evidence.kept import KeptBlocks, Named
from vaebench.evidence.laplace import evidence_at, most_probable
from vaebench.evidence.local import model_of
from vaebench.evidence.refine import gap_parts
from vaebench.experiment.evidence import EvidencePlan
from vaebench.numerics.streams import generator as stream
from vaebench.progress import log
from vaebench.runs.evidence_record import (
    Annealing,
    Bidirectional,
    Evidence,
    GridCheck,
    ImportanceWeighting,
    Laplace,
    Refinement,
    Summary,
)

GRID_IMAGES = 2500
"""Images that share a pass over the grid."""
CHAINS_AT_ONCE = {"cpu": 400, "cuda": 8000, "mps": 8000}
BOUNDS = (100, 1000, 5000)
"""The k of the bounds IWAE(k), as far as there are as many draws."""
REFINED_AT_ONCE = 100
MODES_AT_ONCE, MODE_STEPS = 500, 15
"""Images whose maximum of p(z|x) is searched together, and the Gauss-Newton steps for it."""
PARTS = ("amortisation", "wrong_mode", "diagonal_family", "rest")

Floats = NDArray[np.float64]


def measure(
    density: Density, images: Tensor, plan: EvidencePlan, kept: KeptBlocks
) -> tuple[Evidence, Named]:
    """Measure the evidence of a run on the first images of a set.

    Args:
        density: of the run.
        images: levels 0..255 as uint8, or pixels in [0, 1], shape [N, pixel].
        plan: how.
        kept: keeps finished blocks.

    Returns:
        What the record of the run has, and the arrays behind it: `log_p`, `elbo` and what the
        method gives beside them for each image; `laplace`, where it is possible; `lower` and
        `upper` for each simulated image; `refined_*`, the parts of the gap of the first images.

    Raises:
        UserError: the method is a grid, and the run has more than two latent dimensions or needs a
            finer grid than is possible.
    """
    if plan.uses_grid(density.latent_dim):
        try:
            return _on_grid(density, images, plan, kept)
        except UserError as error:
            if plan.method == "grid":
                raise
            log.info(f"[{kept.label}] {error}: annealing takes its place")
    return _by_annealing(density, images, plan, kept)


def _on_grid(
    density: Density, images: Tensor, plan: EvidencePlan, kept: KeptBlocks
) -> tuple[Evidence, Named]:
    count = plan.count(len(images), on_grid=True)
    x = density.data(images[:count])
    q = density.encode(x)
    # First, since it is refused for more than two dimensions.
    grid = grid_for(density, q)
    size = max(1, min(GRID_IMAGES, count))
    bound = kept.run(
        "bound", count, size, lambda r: {"elbo": exact_elbo(density, x[r], q.rows(r)).numpy()}
    )
    grid, convergence, arrays = _fine_grid(density, x, q, grid, bound["elbo"], kept)
    arrays |= bound
    exact = _posteriors(arrays)
    parts, refinement = _refined(density, x, q, arrays, exact, plan, kept)
    witness, laplace = _laplace(density, x, q, arrays, kept)
    gap = arrays["log_p"] - arrays["elbo"]
    check = GridCheck(
        points=grid.points,
        half_widths=list(grid.half_widths),
        checked_images=convergence.images,
        mean=convergence.mean,
        mean_at_half=convergence.mean_at_half,
        smallest_gap=float(gap.min()),
        mean_entropy=float(arrays["entropy"].mean()),
    )
    checks = {"grid": check, "laplace": laplace, "refinement": refinement}
    found = _evidence(density, images[:count], "grid", arrays, **checks)
    # Moments fill most of the file, and need fewer digits than log p.
    moments = ("posterior_mean", "posterior_covariance", "entropy")
    rounded = {name: arrays[name].astype(np.float32) for name in moments}
    return found, arrays | rounded | witness | parts


def _fine_grid(
    density: Density, x: Tensor, q: Gaussians, grid: Grid, elbo: Floats, kept: KeptBlocks
) -> tuple[Grid, Convergence, Named]:
    """Measure on the coarsest grid on which the mean has converged and no gap is below 0."""
    while True:
        grid, convergence, first = converged_grid(density, x, q, grid)

        def block(rows: slice, on: Grid = grid, known: GridPosteriors = first) -> Named:
            is_known = rows.stop <= len(known.log_p)
            found = known.rows(rows) if is_known else integrate(density, x[rows], q.rows(rows), on)
            return {
                "log_p": found.log_p.numpy(),
                "posterior_mean": found.mean.numpy(),
                "posterior_covariance": found.covariance.numpy(),
                "entropy": found.entropy.numpy(),
            }

        arrays = kept.run(f"grid of {grid.points}", len(x), min(GRID_IMAGES, len(x)), block)
        gap = torch.from_numpy(arrays["log_p"] - elbo)
        if bool((gap >= LEAST_GAP).all()) or 2 * grid.points > MOST_POINTS[density.latent_dim]:
            check_gaps(gap, grid)
            return grid, convergence, arrays
        log.info(f"[{kept.label}] a gap of {float(gap.min()):.3g} nats: the grid is too coarse")
        grid = grid.with_points(2 * grid.points)


def _by_annealing(
    density: Density, images: Tensor, plan: EvidencePlan, kept: KeptBlocks
) -> tuple[Evidence, Named]:
    count = plan.count(len(images), on_grid=False)
    x = density.data(images[:count])
    q = density.encode(x)

    def anneal(rows: slice) -> Named:
        found = annealed(
            *(density, x[rows], q.rows(rows), plan.temperatures, plan.chains, plan.seed),
            str(rows.start),
        )
        coarse = found.coarse_log_p
        return {
            "log_p": found.log_p.numpy(),
            "effective_chains": found.effective.numpy(),
            "acceptance": found.acceptance.numpy(),
            **({} if coarse is None else {"coarse_log_p": coarse.numpy()}),
        }

    bounds = [k for k in BOUNDS if k <= plan.draws] or [plan.draws]

    def weigh(rows: slice) -> Named:
        random = stream(plan.seed, "samples", f"importance {rows.start}", x.device)
        found = importance_weights(density, x[rows], q.rows(rows), plan.draws, random)
        elbo = found.log_likelihood - q.rows(rows).kl(density.prior)
        shape = pareto_shape(found.log_w)
        each = {f"iwae_{k}": importance_bound(found.log_w, k).cpu().numpy() for k in bounds}
        return {"elbo": elbo.cpu().numpy(), "pareto_shape": shape.cpu().numpy(), **each}

    at_once = min(CHAINS_AT_ONCE[x.device.type], density.rows_at_once)
    size = max(1, at_once // plan.chains)
    arrays = kept.run("importance", count, max(1, density.rows_at_once // 500), weigh)
    arrays |= kept.run("annealing", count, size, anneal)
    parts, refinement = _refined(density, x, q, arrays, None, plan, kept)
    witness, laplace = _laplace(density, x, q, arrays, kept)
    sides, bidirectional = _bidirectional(density, plan, kept, size)
    coarse = arrays.get("coarse_log_p")
    effective, acceptance = arrays["effective_chains"], float(arrays["acceptance"].mean())
    shapes = arrays["pareto_shape"]
    found = _evidence(
        density,
        images[:count],
        "ais",
        arrays,
        annealing=Annealing(
            temperatures=plan.temperatures,
            chains=plan.chains,
            mean_at_quarter=None if coarse is None else float(coarse.mean()),
            effective_chains=float(np.median(effective)),
            least_effective_chains=float(effective.min()),
            acceptance=acceptance if np.isfinite(acceptance) else None,
        ),
        importance=ImportanceWeighting(
            draws=plan.draws,
            bounds={str(k): float(arrays[f"iwae_{k}"].mean()) for k in bounds},
            median_shape=float(np.median(shapes)),
            largest_shape=float(shapes.max()),
            untrustworthy=float((shapes > UNTRUSTWORTHY).mean()),
        ),
        bidirectional=bidirectional,
        laplace=laplace,
        refinement=refinement,
    )
    return found, arrays | witness | parts | sides


def _laplace(
    density: Density, x: Tensor, q: Gaussians, arrays: Named, kept: KeptBlocks
) -> tuple[Named, Laplace | None]:
    try:
        model = model_of(density)
    except UserError as error:
        log.info(f"[{kept.label}] no Laplace approximation: {error}")
        return {}, None

    def approximate(rows: slice) -> Named:
        mode = most_probable(model, x[rows], q.mean[rows], MODE_STEPS)
        return {"laplace": evidence_at(model, x[rows], mode).cpu().numpy()}

    found = kept.run("laplace", len(x), MODES_AT_ONCE, approximate)
    difference = found["laplace"] - arrays["log_p"]
    return found, Laplace(mean=float(found["laplace"].mean()), difference=summary(difference))


def _bidirectional(
    density: Density, plan: EvidencePlan, kept: KeptBlocks, size: int
) -> tuple[Named, Bidirectional | None]:
    if plan.simulated == 0 or density.kind == "other":
        return {}, None

    def both(rows: slice) -> Named:
        images = rows.stop - rows.start
        chosen = (images, plan.temperatures, plan.chains, plan.seed)
        found = bracket(density, *chosen, str(rows.start))
        return {"lower": found.lower.numpy(), "upper": found.upper.numpy()}

    sides = kept.run("simulated", plan.simulated, size, both)
    width = summary(sides["upper"] - sides["lower"])
    return sides, Bidirectional(
        images=plan.simulated,
        lower=float(sides["lower"].mean()),
        upper=float(sides["upper"].mean()),
        width=width.mean,
        standard_error=width.standard_error,
    )


def _refined(
    density: Density,
    x: Tensor,
    q: Gaussians,
    arrays: Named,
    exact: GridPosteriors | None,
    plan: EvidencePlan,
    kept: KeptBlocks,
) -> tuple[Named, Refinement | None]:
    images = min(plan.refined, len(x))
    if images == 0 or (q.is_full and exact is None):
        return {}, None
    log_p = torch.from_numpy(arrays["log_p"])

    def split(rows: slice) -> Named:
        known = None if exact is None else exact.rows(rows)
        chosen = (x[rows], q.rows(rows), log_p[rows], known, plan.seed, str(rows.start))
        found = gap_parts(density, *chosen)
        each = {f"refined_{name}": getattr(found, name) for name in PARTS}
        return {name: part.numpy() for name, part in each.items() if part is not None}

    size = max(1, min(REFINED_AT_ONCE, density.rows_at_once // 16))
    parts = kept.run("refinement", images, size, split)
    found = {
        name: summary(parts[f"refined_{name}"]) if f"refined_{name}" in parts else None
        for name in PARTS
    }
    gap = sum(part.mean for part in found.values() if part is not None)
    return parts, Refinement.model_validate({"images": images, "gap": gap, **found})


def _posteriors(arrays: Named) -> GridPosteriors:
    names = ("log_p", "posterior_mean", "posterior_covariance", "entropy")
    return GridPosteriors(*(torch.from_numpy(arrays[name]) for name in names))


def _evidence(
    density: Density,
    images: Tensor,
    method: str,
    arrays: Named,
    **checks: object,
) -> Evidence:
    """What the record has, from the arrays."""
    white = 255 if images.dtype == torch.uint8 else 1
    is_black_and_white = bool(((images == 0) | (images == white)).all())
    nothing = {"grid", "annealing", "importance", "bidirectional", "laplace", "refinement"}
    return Evidence.model_validate(
        {
            "method": method,
            "images": len(images),
            "is_log_likelihood": density.kind != "bernoulli" or is_black_and_white,
            "log_volume": density.log_volume,
            "log_p": summary(arrays["log_p"]),
            "elbo": summary(arrays["elbo"]),
            "gap": summary(arrays["log_p"] - arrays["elbo"]),
            **dict.fromkeys(nothing),
            **checks,
        }
    )


def summary(values: Floats) -> Summary:
    """The distribution of a number over images."""
    low, median, high, highest = np.quantile(values, [0.05, 0.5, 0.95, 0.99])
    many = len(values) > 1
    return Summary(
        mean=float(values.mean()),
        standard_error=float(values.std(ddof=1) / len(values) ** 0.5) if many else None,
        low=float(low),
        median=float(median),
        high=float(high),
        highest=float(highest),
    )
