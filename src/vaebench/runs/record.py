"""Records: metrics.json and its like, written once and validated wherever they are read.

The last entry of a record's file, `sha256`, is the digest of all others, so that a damaged or
changed number is noticed wherever it stands.
"""

import json
import math
from pathlib import Path, PurePosixPath
from typing import Any, Literal, SupportsFloat, TypeVar

from pydantic import BaseModel, ConfigDict, field_validator

from vaebench.errors import UserError
from vaebench.experiment.settings import Name, Settings
from vaebench.files import digest_bytes

T = TypeVar("T", bound=BaseModel)

SCHEMA_VERSION: Literal[3] = 3
CHECKSUM = "sha256"


class Record(BaseModel):
    """Refuses keys it does not know, so that a record of another version is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> str:
        """The text of the record's file, sealed with its digest."""
        values = self.model_dump(mode="json")
        return json.dumps(values | {CHECKSUM: checksum(values)}, indent=2, allow_nan=False) + "\n"


class HistoryPoint(Record):
    """The test set during training, in nats per example; null is not finite."""

    epoch: int | None
    """From 1; null where training is counted in steps."""
    step: int
    """Optimisation steps done."""
    objective: float | None
    elbo: float | None
    """Also null for likelihoods whose T follows from a batch: see `SetMetrics.elbo`."""
    rate: float | None
    distortion: float | None
    """Null where `elbo` is."""
    mse: float | None


class SetMetrics(Record):
    """A whole set, in nats per example; null is not finite, or of a run that diverged."""

    objective: float | None
    """The trained objective, with this set as its batch; Eq. 30 for BAGGINS with BILBO."""
    elbo: float | None
    """The evidence lower bound of the data as they were scaled. A likelihood whose T follows from
    a batch has here the scalar T = `Final.likelihood_variance`."""
    elbo_data_units: float | None
    """elbo + m log lambda: a density of the unscaled data, comparable at every data_scale."""
    rate: float | None
    distortion: float | None
    mse: float | None
    """Mean squared residual of a pixel, |x - nu|^2 / (m lambda^2), with pixels in [0, 1]."""
    information: float | None
    """u of Eq. 28, the mean of tr Sigma^-1 S^2."""


class HeldOutMetrics(SetMetrics):
    """The test set; `elbo` has S^2 of the test set, as in the paper."""

    elbo_frozen_prior: float | None
    """With S^2 of the training set."""
    active_units: int
    """Latent dimensions whose mean KL divergence exceeds 0.01 nats."""
    mean_image_mse: float
    """The `mse` of showing the training set's mean image, whatever the input."""


class Final(Record):
    """After the last step."""

    likelihood_variance: float | None
    """The scalar T of p(x|z) = N(x; nu, T I), where training found one: learned, or the training
    set's mean squared residual where T follows from a batch."""
    fitted_prior_trace: float | None
    """tr S^2 of the prior that fits the posteriors of the training set (Eq. 4), also where p(z) is
    N(0, I)."""
    fitted_prior_trace_batch: float | None
    """The same from the first `batch_size` training images alone."""

    train: SetMetrics
    test: HeldOutMetrics


class Timing(Record):
    """Of training alone. All runs of a pack advance together and share these."""

    seconds: float
    steps_per_second: float
    """Optimisation steps of this run per second of training."""


class Worker(Record):
    """The process that trained the run."""

    device: Literal["cpu", "cuda", "mps"]
    processor: str
    driver: str | None
    platform: str
    python: str
    libraries: dict[str, str]
    threads: int
    deterministic: bool
    """Whether torch was told to use deterministic algorithms alone."""
    packed_runs: int
    """How many runs were trained together."""
    commit: str | None
    dirty: bool | None
    """Whether tracked files differed from the commit."""
    slurm: dict[str, str]


class Digests(Record):
    """SHA-256 of what went into the run and came out of it."""

    settings: str
    sources: str
    data: str
    environment: str | None
    """Of requirements.lock, where there is one."""
    weights: str
    arrays: str


class RunRecord(Record):
    """metrics.json."""

    schema_version: Literal[3] = SCHEMA_VERSION
    run: Settings
    run_hash: str
    status: Literal["completed", "diverged"]
    diverged_step: int | None
    """The step, from 1, at which the loss became non-finite."""
    final: Final
    history: list[HistoryPoint]
    timing: Timing
    worker: Worker
    digests: Digests


class Quality(Record):
    """Images against a dataset's test images, by a classifier's features and by pixels.

    The features are arbitrary in scale: read `kid` and `fid` beside those of training images.
    """

    images: int
    """How many images are compared with as many test images."""
    kid: float
    """Kernel distance of the features (Binkowski et al., 2018); unbiased, so it may be below 0."""
    fid: float
    """Frechet distance of the features (Heusel et al., 2017)."""
    precision: float
    """Share of images among the test images' neighbours (Kynkaanniemi et al., 2019)."""
    recall: float
    """Share of test images among the images' neighbours."""
    density: float
    """Mean number of test images' neighbourhoods around an image (Naeem et al., 2020)."""
    coverage: float
    """Share of test images with an image in their neighbourhood."""
    mean_image_distance: float
    """Mean squared distance from the training set's mean image, over that of the test images: 0 if
    all images are the mean image, 1 if they vary about it as data do."""
    sharpness: float
    """Mean over images of |grad x|^2 / |x|^2, over that of the test images; below 1 is blurry."""
    components: float
    """Connected components of an image's pixels above half its brightest one, in the mean."""


class ClassifierRecord(Record):
    """The classifier of a dataset, whose features measure sample quality."""

    schema_version: Literal[1] = 1
    dataset: str
    test_accuracy: float
    floor: Quality
    """Training images against test images: what no sample can be expected to beat."""
    test_components: float
    """`Quality.components` of the test images."""
    weights: str
    """SHA-256 of classifier.safetensors."""
    sources: str
    data: str
    device: Literal["cpu", "cuda", "mps"]
    processor: str


class EvaluationRecord(Record):
    """evaluation.json: what is measured on a finished run from its weights."""

    schema_version: Literal[1] = 1
    run_hash: str
    weights: str
    """SHA-256 of the run's weights."""
    classifier: str
    """SHA-256 of the classifier's weights."""
    sources: str
    """Of the code that measures."""
    samples: Quality | None
    """Samples of z ~ N(0, S^2), the decoder's means; null where the run diverged."""
    floor: Quality


class Manifest(Record):
    """manifest.json of a tier: SHA-256 digests by paths from the tier's folder."""

    schema_version: Literal[2] = 2
    tier: Name
    environment: str | None
    """Of requirements.lock, where there is one."""
    code: dict[str, str]
    """What made the files, see `sources.code_digests`."""
    paper_values: str
    """Of config/paper_values.yaml, by which tables and claims were made."""
    files: dict[str, str]
    weights: dict[str, str]
    """As the runs' records name them; the files need not be here."""

    @field_validator("files", "weights")
    @classmethod
    def _paths_stay_inside(cls, digests: dict[str, str]) -> dict[str, str]:
        for name in digests:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or path.as_posix() != name:
                raise ValueError(f"{name!r} is no plain path inside the tier")
        return digests


def read_record(path: Path) -> RunRecord:
    """Read and check a metrics.json.

    Raises:
        UserError: it is missing, damaged or of another version.
    """
    return read_as(RunRecord, path, "train the run")


def read_as(model: type[T], path: Path, remedy: str) -> T:
    """Read and check another record.

    Raises:
        UserError: it is missing, damaged or of another version; ends with the remedy.
    """
    try:
        values = json.loads(path.read_text())
        if not isinstance(values, dict) or values.pop(CHECKSUM, None) != checksum(values):
            raise ValueError("damaged, or changed by hand: it has not the digest that it ends with")
        return model.model_validate(values)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {remedy}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no valid record ({error}): {remedy}") from None


def checksum(values: dict[str, Any]) -> str:
    """The digest that ends a record with these entries."""
    return digest_bytes(json.dumps(values, sort_keys=True).encode())


def finite(value: SupportsFloat) -> float | None:
    """A number for a record: null where it is not finite, since JSON has no word for it."""
    number = float(value)
    return number if math.isfinite(number) else None
