"""What the commands share that measure finished runs from their weights."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel

from vaebench.cli.options import ensure_data
from vaebench.errors import UserError
from vaebench.experiment.grid import Experiment
from vaebench.experiment.jobs import chosen_blocks
from vaebench.experiment.plans import PLANS, plan_of
from vaebench.experiment.plugins import load_plugins
from vaebench.experiment.tier import Tier, find_tier, load_tier
from vaebench.paths import Layout
from vaebench.runs.measurement import RunFiles

P = TypeVar("P", bound=BaseModel)

FoldersArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Folders of finished runs; or give --tier and --experiment."),
]
MeasuredTierOption = Annotated[
    str | None,
    typer.Option(help="Measure runs of a tier: its name, its config file, or its folder."),
]
ExperimentOption = Annotated[str | None, typer.Option(help="An experiment of the tier.")]


@dataclass(frozen=True)
class Chosen:
    """The runs that a command measures."""

    runs: list[RunFiles]
    tier: Tier | None = None
    """That of the runs. None for folders of runs."""
    experiment: Experiment | None = None

    def plan(self, kind: type[P]) -> P:
        """How the experiment measures its runs; as usual if it says nothing, or for folders."""
        if self.experiment is None:
            return kind()
        name = next(name for name, each in PLANS.items() if each is kind)
        return plan_of(getattr(self.experiment, name), kind) or kind()


def option_help(plan: type[BaseModel], name: str) -> str:
    """The help of the option for a field of a plan."""
    field = plan.model_fields[name]
    told = "" if field.default is None else f" Default: {field.default}."
    return f"{field.description}{told}".replace("`", "")


def given_options(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def chosen_runs(
    folders: list[Path] | None,
    tier: str | None,
    experiment: str | None,
    cell: list[str] | None,
    runs: str | None,
    plugins: list[Path] | None,
) -> Chosen:
    """The runs in these folders, or those of an experiment of a tier, whose plugins are loaded.

    Raises:
        UserError: neither or both are given, there are no such runs, or a plugin cannot be loaded.
    """
    load_plugins(plugins or [])
    config = None if tier is None else load_tier(find_tier(tier))
    if config is None or experiment is None:
        if config is not None or experiment is not None or not folders or cell or runs:
            raise UserError("give the folders of runs, or --tier with --experiment")
        return Chosen(_in_folders(folders))
    if folders:
        raise UserError("give folders of runs or a tier, not both")
    return Chosen(_of_tier(config, experiment, cell, runs), config, config.experiment(experiment))


def measure(
    name: str,
    chosen: Chosen,
    plan: BaseModel,
    device: str | None,
    threads: int | None,
    data: Path,
    store: Path,
) -> list[Path]:
    """Measure runs, after their data are prepared.

    Args:
        name: one of `PLANS`.
        chosen: the runs.
        plan: how, of the kind that belongs to the name.
        device: where to compute. If it is not given, it is that of the tier, or the best.
        threads: of this process. They stay as they are if not given.
        data: the folder with `prepared/`.
        store: the store of finished runs. It keeps what is measured for a tier, since it cannot be
            measured again without the weights.

    Returns:
        The path of the record of each run.
    """
    import torch

    from vaebench.execution.device import choose_device
    from vaebench.runs.record import read_record

    execution = None if chosen.tier is None else chosen.tier.execution
    where = choose_device(device or ("auto" if execution is None else execution.device))
    if threads is not None:
        torch.set_num_threads(threads)
    for dataset in {read_record(run.folder / "metrics.json").run.dataset for run in chosen.runs}:
        ensure_data(dataset, data, [] if execution is None else execution.mirrors)
    measure_runs = import_module(f"vaebench.{name}.measure").measure_runs
    measure_runs(chosen.runs, plan, data, where, store, keep=chosen.tier is not None)
    return [run.folder / f"{name}.json" for run in chosen.runs]


def _in_folders(folders: Iterable[Path]) -> list[RunFiles]:
    from vaebench.api.files import read_run, weights_places

    found = []
    for folder in folders:
        read_run(folder)
        places = weights_places(folder)
        weights = next((path for path in places if path.exists()), places[0])
        found.append(RunFiles(folder, weights))
    return found


def _of_tier(
    config: Tier, experiment: str, cell: list[str] | None, runs: str | None
) -> list[RunFiles]:
    layout = Layout.of(config.tier)
    packs = chosen_blocks([config.experiment(experiment)], cell or None, runs)
    return [
        RunFiles(layout.run(experiment, run.folder), layout.weights(experiment, run.folder))
        for _, pack in packs
        for run in pack.runs
    ]
