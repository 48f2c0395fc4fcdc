"""Trains runs in this process, for notebooks and scripts."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, overload

import torch
from pydantic import ValidationError

from vaebench.api.run import TrainedRun, load_run
from vaebench.data.prepared import is_prepared, prepare
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.execution.device import choose_device
from vaebench.execution.out_folder import check_out
from vaebench.execution.session import Resources, Target, train_targets
from vaebench.experiment.defaults import DEFAULTS, MLP_DEFAULTS
from vaebench.experiment.grid import Experiment, Run, expand
from vaebench.experiment.messages import describe
from vaebench.experiment.settings import Settings
from vaebench.paths import DATA
from vaebench.progress import show_log_lines
from vaebench.runs.sources import source_digest

SAVE_EVERY = 10


@overload
def train(
    settings: Settings | Mapping[str, Any],
    seeds: None = None,
    *,
    out: str | PathLike[str] | None = None,
    data: str | PathLike[str] = DATA,
    device: str = "auto",
    threads: int | None = None,
) -> TrainedRun: ...


@overload
def train(
    settings: Settings | Mapping[str, Any],
    seeds: Sequence[int],
    *,
    out: str | PathLike[str] | None = None,
    data: str | PathLike[str] = DATA,
    device: str = "auto",
    threads: int | None = None,
) -> list[TrainedRun]: ...


def train(
    settings: Settings | Mapping[str, Any],
    seeds: Sequence[int] | None = None,
    *,
    out: str | PathLike[str] | None = None,
    data: str | PathLike[str] = DATA,
    device: str = "auto",
    threads: int | None = None,
) -> TrainedRun | list[TrainedRun]:
    """Train a run, or one run for each of several seeds. Runs of several seeds train together.

    The result is the same as that of `vaebench train` with these settings. Progress is written to
    standard error.

    Args:
        settings: dataset, objective, likelihood, latent_dim and epochs or steps. Others have the
            defaults of `vaebench train`.
        seeds: the seeds. If None, there is one run with the seed of the settings, or 0.
        out: a folder for the files of the runs. Each seed gets a folder in it, such as `seed~0`.
            The same call continues an interrupted training, and does not train finished runs again.
            If None, no files are kept.
        data: the folder of raw and prepared datasets. A dataset that is neither prepared there nor
            embedded is fetched into it, as `vaebench data` does.
        device: auto (a GPU if there is one), cpu, cuda or mps.
        threads: CPU threads. If None, as many as torch uses.

    Returns:
        The trained run. With `seeds`, a list with one run for each seed.

    Raises:
        UserError: a setting is refused, the folder has runs of other settings, the data cannot be
            fetched, or the device is not available.
        KeyboardInterrupt: training was interrupted.
    """
    runs = _plan(settings, seeds)
    chosen = choose_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    show_log_lines()
    with ExitStack() as stack:

        def scratch() -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vaebench-")))

        if out is None:
            folder = scratch()
        else:
            folder = Path(out)
            check_out(folder, runs)
        root = _ensure_data(runs[0].settings.dataset, Path(data), scratch)
        places = [folder / run.folder for run in runs]
        targets = [
            Target(run.settings, place, place / "model.safetensors")
            for run, place in zip(runs, places, strict=True)
        ]
        resources = Resources(chosen, root, folder / ".vaebench", SAVE_EVERY)
        if not train_targets(runs[0].settings.objective, targets, resources):
            raise KeyboardInterrupt
        trained = [load_run(place, device=device, data=data) for place in places]
    if out is None:
        trained = [replace(run, folder=None) for run in trained]
    return trained if seeds is not None else trained[0]


def _plan(settings: Settings | Mapping[str, Any], seeds: Sequence[int] | None) -> tuple[Run, ...]:
    """The runs to train, after all checks of their settings."""
    given = settings.given() if isinstance(settings, Settings) else dict(settings)
    given = {name: value for name, value in given.items() if value is not None}
    seed = given.pop("seed", 0)
    values = DEFAULTS | given
    if values["network"] == "mlp":
        values = MLP_DEFAULTS | values
    axes = {"seed": [seed] if seeds is None else list(seeds)}
    try:
        experiment = Experiment.model_validate(
            {"name": "train", "settings": values, "axes": axes, "packed": ["seed"]}
        )
    except ValidationError as error:
        text = describe(error).replace("(top level): ", "")
        raise UserError(f"the settings are refused: {text}") from None
    (cell,) = expand(experiment)
    try:
        source_digest(cell.shared)
    except OSError as error:
        raise UserError(
            f"the source of objective '{cell.shared.objective}' or likelihood "
            f"'{cell.shared.likelihood}' cannot be read ({error.strerror}: {error.filename}), and "
            "a run depends on it: write the function in a file, and import that file"
        ) from None
    return cell.runs


def _ensure_data(dataset: str, data: Path, scratch: Callable[[], Path]) -> Path:
    """The folder in whose `prepared/` the dataset is. If it has to be prepared, it is.

    Args:
        dataset: the dataset.
        data: the folder that the user names.
        scratch: makes a folder that is removed afterwards, for an embedded dataset.
    """
    if is_prepared(data / "prepared", dataset):
        return data
    root = scratch() if DATASETS[dataset].is_embedded else data
    prepare(dataset, root, [])
    return root
