"""Trackers: programs that show training runs. Each is one function; none is used unless asked for.

A tracker gets the settings of a run once, the points of its history as they are evaluated, and its
final metrics. Nothing that it does reaches the training.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from vaebench.errors import UserError
from vaebench.experiment.settings import AxisValue, Settings
from vaebench.progress import log
from vaebench.runs.record import LATER_NUMBERS, HistoryPoint, RunRecord

FOLDER = Path("tracking")
"""Each tracker writes to a folder of its name below this one."""
PROJECT = "vaebench"

Log = Callable[[Mapping[str, float], int], None]
"""Logs metrics by name, after a number of optimisation steps."""


@dataclass(frozen=True)
class TrackedRun:
    """A run, as a tracker shows it."""

    name: str
    """The folder of its results."""
    run_hash: str
    """The identity of the run: a training that was interrupted goes on under it."""
    settings: Mapping[str, AxisValue]


@contextmanager
def tensorboard(run: TrackedRun, folder: Path) -> Iterator[Log]:
    """TensorBoard: `tensorboard --logdir tracking/tensorboard`."""
    from torch.utils.tensorboard import SummaryWriter

    place = [part for part in Path(run.name).parts if part not in (Path(run.name).anchor, "..")]
    writer = SummaryWriter(str(folder.joinpath(*place)))
    lines = [f"{name}: {value}" for name, value in run.settings.items()]
    writer.add_text("settings", "\n\n".join(lines))

    def log_metrics(metrics: Mapping[str, float], step: int) -> None:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)

    try:
        yield log_metrics
    finally:
        writer.close()


@contextmanager
def mlflow(run: TrackedRun, folder: Path) -> Iterator[Log]:
    """MLflow: `MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri tracking/mlflow`."""
    # MLflow 3 refuses its file store otherwise. Its database needs a server's libraries.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=folder.resolve().as_uri())
    experiment = client.get_experiment_by_name(PROJECT)
    where = client.create_experiment(PROJECT) if experiment is None else experiment.experiment_id
    known = client.search_runs([where], f"tags.run_hash = '{run.run_hash}'")
    if known:
        run_id = known[0].info.run_id
    else:
        run_id = client.create_run(
            where, run_name=run.name, tags={"run_hash": run.run_hash}
        ).info.run_id
        for name, value in run.settings.items():
            client.log_param(run_id, name, value)

    def log_metrics(metrics: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        values = [Metric(name, value, now, step) for name, value in metrics.items()]
        client.log_batch(run_id, values)

    try:
        yield log_metrics
    finally:
        client.set_terminated(run_id)


@contextmanager
def wandb(run: TrackedRun, folder: Path) -> Iterator[Log]:
    """Weights & Biases, offline: `wandb sync tracking/wandb/wandb/offline-run-*` sends the runs."""
    import wandb as library

    folder.mkdir(parents=True, exist_ok=True)
    found = library.init(
        project=PROJECT,
        name=run.name,
        id=run.run_hash[:32],
        dir=str(folder),
        mode="offline",
        reinit="create_new",
        config=dict(run.settings),
        settings=library.Settings(silent=True, console="off"),
    )
    try:
        yield lambda metrics, step: found.log(dict(metrics), step=step)
    finally:
        found.finish()


TRACKERS: dict[str, Callable[[TrackedRun, Path], AbstractContextManager[Log]]] = {
    "tensorboard": tensorboard,
    "mlflow": mlflow,
    "wandb": wandb,
}
PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow-skinny", "wandb": "wandb"}
"""What to install for each tracker. The module has the name of the tracker."""


def check_tracker(name: str) -> None:
    """Check that there is a tracker of that name, and its package.

    Raises:
        UserError: the name is unknown, or the package is not installed.
    """
    if name not in TRACKERS:
        raise UserError(f"tracker '{name}' is not one of: {', '.join(TRACKERS)}")
    if find_spec(name) is None:
        raise UserError(
            f"tracker '{name}' needs a package that is not installed: pip install {PACKAGES[name]}"
        )


class Tracking:
    """Passes the runs of a pack to a tracker. An error of the tracker ends the tracking alone."""

    def __init__(self, logs: Sequence[Log]) -> None:
        """Start with a log for each run of the pack; with none, nothing is tracked."""
        self._logs = logs
        self._shown = [0] * len(logs)

    def points(self, history: Sequence[Sequence[HistoryPoint]]) -> None:
        """Log the points that were not logged yet, of every run."""
        for k, write in enumerate(list(self._logs)):
            for point in history[k][self._shown[k] :]:
                values = point.model_dump(exclude={"epoch", "step"})
                others = {name: values.pop(name, None) for name in LATER_NUMBERS}
                shown = _known(values, "test/") | {
                    name.replace("_elbo", "/elbo"): value
                    for name, value in _known(others, "").items()
                }
                self._log(write, shown, point.step)
            self._shown[k] = len(history[k])

    def final(self, k: int, record: RunRecord, step: int) -> None:
        """Log the final metrics of the k-th run, after its last step."""
        if self._logs:
            final = record.final
            values = _known(final.test.model_dump(), "final/test/")
            values |= _known(final.train.model_dump(), "final/train/")
            self._log(self._logs[k], values, step)

    def _log(self, write: Log, values: dict[str, float], step: int) -> None:
        if not self._logs:
            return
        try:
            write(values, step)
        except Exception as error:
            log.info(f"tracking stops, and training continues: {error}")
            self._logs = []


@contextmanager
def tracking(
    tracker: str | None, names: Sequence[str], runs: Sequence[Settings], hashes: Sequence[str]
) -> Iterator[Tracking]:
    """Track the runs of a pack.

    Args:
        tracker: the name of a tracker. None for none.
        names: the names under which it shows the runs.
        runs: their settings.
        hashes: their hashes.

    Raises:
        UserError: the tracker's package is missing.
    """
    if tracker is None:
        yield Tracking([])
        return
    check_tracker(tracker)
    with ExitStack() as stack:
        logs = [
            stack.enter_context(
                TRACKERS[tracker](TrackedRun(name, run_hash, run.given()), FOLDER / tracker)
            )
            for name, run, run_hash in zip(names, runs, hashes, strict=True)
        ]
        yield Tracking(logs)


def _known(values: Mapping[str, float | None], prefix: str) -> dict[str, float]:
    return {prefix + name: float(value) for name, value in values.items() if value is not None}
