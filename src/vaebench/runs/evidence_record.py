"""evidence.json: the evidence log p(x) of a finished run, as `evidence/measure.py` writes it."""

from typing import Literal

from vaebench.experiment.evidence import EvidencePlan
from vaebench.runs.measurement import MeasurementRecord
from vaebench.runs.record import Record


class Summary(Record):
    """The distribution of a number over images, in nats."""

    mean: float
    standard_error: float | None
    """Of the mean, over the images. Null for one image."""
    low: float
    """The 5% quantile."""
    median: float
    high: float
    """The 95% quantile."""
    highest: float
    """The 99% quantile. Means of gaps are ruled by a few images."""


class GridCheck(Record):
    """The grid, and the proof that it is fine enough."""

    points: int
    """G, in each dimension."""
    half_widths: list[float]
    checked_images: int
    mean: float
    """The mean of log p(x) of the checked images."""
    mean_at_half: float
    """The same with half as many points in each dimension."""
    smallest_gap: float
    """Over all images. It would be below 0 if the grid were too coarse for one of them."""
    mean_entropy: float
    """The mean differential entropy of the exact posteriors."""


class Annealing(Record):
    """How far annealing can be trusted."""

    temperatures: int
    chains: int
    mean_at_quarter: float | None
    """The mean of log p(x) with a quarter of the temperatures."""
    effective_chains: float
    """The median effective number of chains."""
    least_effective_chains: float
    acceptance: float | None
    """The mean share of accepted moves."""


class ImportanceWeighting(Record):
    """Importance weighted bounds with draws of the encoder."""

    draws: int
    bounds: dict[str, float]
    """The mean of IWAE(k), by k."""
    median_shape: float
    """The median of k-hat over the images."""
    largest_shape: float
    untrustworthy: float
    """The share of images whose k-hat is above 0.7."""


class Bidirectional(Record):
    """The error bar of annealing, on images that were simulated from the model."""

    images: int
    lower: float
    """The mean lower bound."""
    upper: float
    """The mean upper bound."""
    width: float
    """The mean of upper - lower."""
    standard_error: float | None


class Laplace(Record):
    """A second witness: the Gauss-Newton Laplace approximation at a maximum of p(z|x)."""

    mean: float
    """Its mean over the images, in nats of scaled data."""
    difference: Summary
    """It minus log p(x) of the same images."""


class Refinement(Record):
    """The causes of the gap, see `evidence/refine.py`. The parts add up to `gap`."""

    images: int
    gap: float
    amortisation: Summary
    wrong_mode: Summary | None
    """Null if the exact posteriors are not known."""
    diagonal_family: Summary | None
    rest: Summary
    """The non-Gaussianity; where the exact posteriors are not known, the three parts together."""


class Evidence(Record):
    """The evidence of a run, in nats of scaled data."""

    method: Literal["grid", "ais"]
    images: int
    """The number of test images, from the first."""
    is_log_likelihood: bool
    """False for the Bernoulli likelihood of grey images, which is not a distribution of them. Then
    values can only be compared between runs."""
    log_volume: float
    """m log lambda, to be added for the evidence of unscaled data."""
    log_p: Summary
    elbo: Summary
    """The evidence lower bound of the same images: by quadrature on a grid, and else as the mean
    over the draws of `importance`."""
    gap: Summary
    """log p(x) minus the bound: KL(q(z|x) | p(z|x))."""
    grid: GridCheck | None
    annealing: Annealing | None
    importance: ImportanceWeighting | None
    bidirectional: Bidirectional | None
    """Null without simulated images, or if the likelihood has no sampler."""
    laplace: Laplace | None
    """Null for networks that are not of dense layers, and if T depends on z or on the pixel."""
    refinement: Refinement | None


class EvidenceRecord(MeasurementRecord):
    """evidence.json."""

    plan: EvidencePlan
    evidence: Evidence | None
    """Null if the run diverged."""
