"""latent.json: the aggregated posterior of a finished run, as `latent/measure.py` writes it."""

from typing import Literal

from vaebench.experiment.latent import LatentPlan
from vaebench.runs.measurement import MeasurementRecord
from vaebench.runs.record import Quality, Record


class Uncertain(Record):
    """A mean with its standard error over images, which is null for a single image."""

    value: float
    error: float | None


class MatchedMoments(Record):
    """Moments of the aggregated posterior, exact, where the prior in force is N(0, I).

    Inactive dimensions match it trivially, so that means and extremes are over the active ones;
    null if there are none.
    """

    active: int
    """Dimensions whose KL divergence exceeds 0.01 nats on average."""
    variance_low: float | None
    variance_mean: float | None
    variance_high: float | None
    variance_mean_all: float
    """Over all dimensions."""
    mean_size: float | None
    """The largest size of a dimension's mean."""
    correlation: float | None
    """The largest size of a correlation; null with one active dimension."""
    kurtosis: float | None
    """The mean size of a dimension's excess kurtosis."""
    kurtosis_all: float
    share_of_means: float | None
    """The share of the variance that the posteriors' means have."""
    share_of_means_all: float


class Mismatch(Record):
    """The divergence of the aggregated posterior from the prior in force, in nats."""

    rate: float
    information: Uncertain
    """I_N: rate = I_N + KL(q_N | p)."""
    log_images: float
    """log N, which bounds I_N."""
    kl: Uncertain
    """KL(q_N | p): the upper end of the bracket for the population's."""
    held_out: Uncertain
    """The lower end, and the gain of the test bound if q_N takes the place of p."""
    linear: float
    """KL(N(m, C) | p)."""
    shape: float
    """KL(q_N | N(m, C))."""
    gaussian_gain: Uncertain
    """The gain of the test bound if N(m, C) takes the place of p."""
    linear_from_standard: float
    """KL(N(m, C) | N(0, I)) of codes as they are: the same as `linear` for the prior N(0, I)."""
    is_standard: bool
    """Whether the prior in force is N(0, I)."""
    kl_on_grid: float | None
    """KL(q_N | p) as a sum over a grid, with one or two dimensions: a check of `kl`."""


class Discrepancy(Record):
    """MMD^2 from the prior as a share of E k, by the scale s of the kernel."""

    all: dict[str, float]
    all_null: dict[str, float]
    """Of as many draws of the prior itself."""
    active: dict[str, float]
    """Of the active dimensions alone. Empty if there are none."""
    active_null: dict[str, float]


class ByPrior(Record):
    """The mean exact evidence of test images under each prior, in nats of scaled data."""

    images: int
    points: int
    """G of the grid, in each dimension."""
    moved: float
    """The most that a mean moved between G/2 and G points."""
    prior: float
    gaussian_gain: Uncertain
    """Under N(m, C) minus under the prior in force."""
    aggregated_gain: Uncertain
    """Under q_N minus under the prior in force."""


class Sampled(Record):
    """The quality of samples by where z is drawn from. The floor is that of training images."""

    prior: Quality
    gaussian: Quality
    aggregated: Quality
    floor: Quality


class AxesOfPosteriors(Record):
    """Correlations of posteriors, and what a diagonal Sigma loses by its axes, in nats."""

    images: int
    source: Literal["grid", "curvature"]
    """Where the covariances of `correlation_exact` are from: exact, or Gauss-Newton curvature."""
    loss_source: Literal["grid", "curvature"]
    """The same of A in `loss`: curvature where it is known."""
    correlation: float | None
    """The mean |correlation| of q(z|x), over pairs of active dimensions."""
    correlation_exact: float | None
    """The same of p(z|x)."""
    loss: float
    """1/2 (sum log A_jj - log det A) over active dimensions, mean over images."""
    random: float
    """The mean over random rotations."""
    best: float
    """Along the best axes that were found."""
    alignment: float | None
    """(random - loss) / (random - best). Null if no axes are better than others."""


class Latent(Record):
    """The aggregated posterior of a run."""

    train_images: int
    test_images: int
    latent_dim: int
    moments: MatchedMoments
    mismatch: Mismatch
    discrepancy: Discrepancy
    evidence: ByPrior | None
    samples: Sampled | None
    axes: AxesOfPosteriors | None
    not_measured: dict[str, str]
    """Why one of the last three is null, by its name."""


class LatentRecord(MeasurementRecord):
    """latent.json."""

    plan: LatentPlan
    latent: Latent | None
    """Null if the run diverged."""
