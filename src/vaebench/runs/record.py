"""Records: JSON files such as metrics.json, which are written once and validated when read.

The last entry of a record's file, `sha256`, is the digest of all other entries. It reveals any
damage and any later change.
"""

import json
import math
from pathlib import Path, PurePosixPath
from typing import Any, Literal, SupportsFloat, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from vaebench.data.registry import stand_in
from vaebench.errors import UserError
from vaebench.experiment.settings import REGISTRIES, Name, Settings
from vaebench.files import digest_bytes, read_content
from vaebench.reading.packed import unpack
from vaebench.reading.text import LARGEST, parse_object, read_object

T = TypeVar("T", bound=BaseModel)

SCHEMA_VERSION: Literal[3] = 3
CHECKSUM = "sha256"
LATER_NUMBERS = ("train_elbo", "held_out_elbo")
"""Numbers of `HistoryPoint` that records of former versions do not have."""


class Record(BaseModel):
    """A model that refuses unknown keys, so that a record of another version is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def to_json(self) -> str:
        """The text of the record's file. It ends with the digest of the other entries."""
        values = self.model_dump(mode="json")
        return json.dumps(values | {CHECKSUM: checksum(values)}, indent=2, allow_nan=False) + "\n"


class HistoryPoint(Record):
    """Metrics during training, in nats per example, of the test set where no other set is named.

    Null stands for not finite.
    """

    epoch: int | None
    """Counted from 1. Null if training is counted in steps."""
    step: int
    """The number of optimisation steps done."""
    objective: float | None
    elbo: float | None
    """Also null for likelihoods whose T is computed from a batch, see `SetMetrics.elbo`."""
    rate: float | None
    distortion: float | None
    """Null if `elbo` is null."""
    mse: float | None
    train_elbo: float | None = None
    """The bound of the first images of the training set, as many as the test set has, with their
    own S^2. Records of former versions and of trainings that are counted in steps lack it."""
    held_out_elbo: float | None = None
    """The bound of the training images that the run holds out, with their own S^2. Only runs with
    the setting `held_out` have it."""

    @model_serializer(mode="wrap")
    def _as_recorded(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without later numbers that were not recorded, so that former records keep their text."""
        return {
            name: value
            for name, value in handler(self).items()
            if name not in LATER_NUMBERS or name in self.model_fields_set
        }


class SetMetrics(Record):
    """Metrics of a whole set, in nats per example.

    Null stands for a value that is not finite, or for a diverged run.
    """

    objective: float | None
    """The trained objective with this set as its batch. For BAGGINS with BILBO it is Eq. 30."""
    elbo: float | None
    """The evidence lower bound of the scaled data. If T is computed from a batch, the bound is
    that with the scalar T = `Final.likelihood_variance`."""
    elbo_data_units: float | None
    """elbo + m log lambda, the bound on the log density of the unscaled data. It is comparable
    between values of data_scale."""
    rate: float | None
    distortion: float | None
    mse: float | None
    """The mean squared residual of a pixel, |x - nu|^2 / (m lambda^2), with pixels in [0, 1]."""
    information: float | None
    """u of Eq. 28, the mean of tr Sigma^-1 S^2."""


class HeldOutMetrics(SetMetrics):
    """Metrics of the test set. Its `elbo` has S^2 of the test set, as in the paper."""

    elbo_frozen_prior: float | None
    """The bound with S^2 of the training set."""
    active_units: int
    """The number of latent dimensions whose mean KL divergence exceeds 0.01 nats."""
    mean_image_mse: float
    """The `mse` if every reconstruction is the mean image of the training set."""


class Final(Record):
    """Metrics after the last step."""

    likelihood_variance: float | None
    """The scalar T of p(x|z) = N(x; nu, T I): the learned one, or the mean squared residual of the
    training set if T is computed from a batch. Null for other likelihoods."""
    fitted_prior_trace: float | None
    """tr S^2 of the prior of Eq. 4 on the training set, also for runs with the prior N(0, I)."""
    fitted_prior_trace_batch: float | None
    """The same for the first `batch_size` training images."""

    train: SetMetrics
    test: HeldOutMetrics


class Timing(Record):
    """The duration of training, without evaluations. All runs of a pack have the same one."""

    seconds: float
    steps_per_second: float
    """Optimisation steps of this run per second of training."""


class Worker(Record):
    """The process that trained the run."""

    device: Literal["cpu", "cuda", "mps"]
    processor: str
    driver: str | None
    platform: str
    """The system, the kind of processor and the C library, such as `Linux x86_64 glibc 2.36`."""
    python: str
    libraries: dict[str, str]
    threads: int
    deterministic: bool
    """Whether torch was set to use only deterministic algorithms."""
    packed_runs: int
    """The number of runs that were trained together."""
    commit: str | None
    dirty: bool | None
    """Whether tracked files differed from the commit."""
    slurm: dict[str, str]
    arithmetic: dict[str, str] = {}
    """The vector instructions that torch uses on CPUs, those environment variables that decide how
    numbers are rounded and are set, and the compiler of the steps if they were compiled. Former
    records lack it."""

    @model_serializer(mode="wrap")
    def _as_recorded(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what a former record lacks, so that it keeps its text."""
        values: dict[str, Any] = handler(self)
        if "arithmetic" not in self.model_fields_set:
            del values["arithmetic"]
        return values


class Digests(Record):
    """SHA-256 digests of the inputs and outputs of a run."""

    settings: str
    sources: str
    data: str
    environment: str | None
    """The digest of requirements.lock and of torch's version, if that file exists. In former
    records, of the file alone."""
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
    """A comparison of images with a dataset's test images, by a classifier's features and pixels.

    The scale of the features is arbitrary. So compare `kid` and `fid` with the values of training
    images.
    """

    images: int
    """The number of images. The same number of test images is used."""
    kid: float
    """Kernel distance of the features (Binkowski et al., 2018). The estimator is unbiased, so the
    value may be negative."""
    fid: float
    """Frechet distance of the features (Heusel et al., 2017)."""
    precision: float
    """Share of images in the neighbourhood of a test image (Kynkaanniemi et al., 2019)."""
    recall: float
    """Share of test images in the neighbourhood of an image."""
    density: float
    """Mean number of test images' neighbourhoods that contain an image (Naeem et al., 2020)."""
    coverage: float
    """Share of test images with an image in their neighbourhood."""
    mean_image_distance: float
    """Mean squared distance from the training set's mean image, divided by that of the test images.
    It is 0 if all images are the mean image, and 1 if they vary about it as the data do."""
    sharpness: float
    """Mean over images of |grad x|^2 / |x|^2, divided by that of the test images. Blurred images
    have less than 1."""
    components: float
    """Mean number of connected components of the pixels above half the brightest one."""


class ClassifierRecord(Record):
    """classifier.json: the classifier of a dataset, whose features measure sample quality."""

    schema_version: Literal[1] = 1
    dataset: str
    test_accuracy: float
    floor: Quality
    """The quality of training images: the best values that samples can be expected to reach."""
    test_components: float
    """`Quality.components` of the test images."""
    weights: str
    """SHA-256 of classifier.safetensors."""
    sources: str
    data: str
    device: Literal["cpu", "cuda", "mps"]
    processor: str


class EvaluationRecord(Record):
    """evaluation.json: the sample quality of a finished run."""

    schema_version: Literal[1] = 1
    run_hash: str
    weights: str
    """SHA-256 of the run's weights."""
    classifier: str
    """SHA-256 of the classifier's weights."""
    sources: str
    """The digest of the code that measures sample quality."""
    samples: Quality | None
    """The quality of the decoder's means for z ~ N(0, S^2). Null if the run diverged."""
    floor: Quality


class Manifest(Record):
    """manifest.json of a tier. Paths are relative to the tier's folder, digests are SHA-256."""

    schema_version: Literal[2] = 2
    tier: Name
    environment: str | None
    """The digest of requirements.lock and of torch's version, if that file exists. In former
    records, of the file alone."""
    code: dict[str, str]
    """The digests of the code that made the files, see `provenance.stages.code_digests`."""
    paper_values: str
    """The digest of config/paper_values.yaml, which tables and claims depend on."""
    files: dict[str, str]
    weights: dict[str, str]
    """The digests in the records of the runs. The weights themselves may be missing."""

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
    try:
        return read_as(RunRecord, path, "train the run")
    except UserError:
        if unknown := _unregistered(path):
            raise UserError(
                f"{path} is a run of {unknown}, which is not registered here: give the file that "
                "registers it, with --plugin, with `plugins:` in a config, or in Python with "
                "vaebench.load_plugins"
            ) from None
        raise


def admit_dataset(path: Path) -> None:
    """Let a record name a dataset that is not described here, so that its run can be read.

    It is for what uses the trained model. A run is not trained further on such a dataset, and no
    result of somebody else is taken with it.
    """
    try:
        values = read_object(path, "")
        name, digest = values["run"]["dataset"], values["digests"]["data"]
    except (UserError, KeyError, TypeError):
        return  # It is told when the record is read.
    if isinstance(name, str) and isinstance(digest, str) and name not in REGISTRIES["dataset"]:
        stand_in(name, digest)


def _unregistered(path: Path) -> str | None:
    """What a record names that is not registered, such as `objective 'mine'`."""
    try:
        run = read_object(path, "")["run"]
        return next(
            (f"{kind} '{run[kind]}'" for kind in REGISTRIES if run[kind] not in REGISTRIES[kind]),
            None,
        )
    except (UserError, KeyError, TypeError):
        return None


def read_as(model: type[T], path: Path, remedy: str) -> T:
    """Read and check a record of any kind.

    Raises:
        UserError: it is missing, damaged or of another version. The text ends with the remedy.
    """
    try:
        values = parse_object(unpack(read_content(path, "", LARGEST)), path, "")
        if values.pop(CHECKSUM, None) != checksum(values):
            raise ValueError("damaged, or changed by hand: it has not the digest that it ends with")
        return model.model_validate(values)
    except (UserError, ValueError, RecursionError) as error:
        if not path.exists():
            raise UserError(f"{path} is missing: {remedy}") from None
        found = str(error).removeprefix(f"{path} is ")
        raise UserError(f"{path} is no valid record ({found}): {remedy}") from None


def checksum(values: dict[str, Any]) -> str:
    """The digest of a record with these entries."""
    return digest_bytes(json.dumps(values, sort_keys=True).encode())


def finite(value: SupportsFloat) -> float | None:
    """A number for a record. None if it is not finite, since JSON cannot represent such numbers."""
    number = float(value)
    return number if math.isfinite(number) else None
