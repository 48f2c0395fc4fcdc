"""What the commands share that measure finished runs from their weights."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel

from vaebench.cli.app import MEASURE, DataOption, app
from vaebench.cli.options import (
    CellOption,
    DeviceOption,
    PluginOption,
    RunsOption,
    StoreOption,
    ThreadsOption,
    ensure_data,
)
from vaebench.errors import UserError
from vaebench.experiment.grid import Experiment
from vaebench.experiment.jobs import chosen_blocks
from vaebench.experiment.plans import PLANS, plan_of
from vaebench.experiment.plugins import load_plugins
from vaebench.experiment.tier import Tier, find_tier, is_folder, load_tier, own_layout
from vaebench.experiment.unasked import check_plugins
from vaebench.paths import DATA, RESULTS, STORE, Layout
from vaebench.runs.measurement import RunFiles

P = TypeVar("P", bound=BaseModel)


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
    if tier is not None and is_folder(tier):
        check_plugins(Layout(Path(tier)), RESULTS)
    config = None if tier is None else load_tier(find_tier(tier))
    if config is None or experiment is None:
        if config is not None or experiment is not None or not folders or cell or runs:
            raise UserError("give the folders of runs, or --tier with --experiment")
        return Chosen(_in_folders(folders))
    if folders:
        raise UserError("give folders of runs or a tier, not both")
    layout = own_layout(tier or "", config)
    found = _of_tier(layout, config, experiment, cell, runs)
    return Chosen(found, config, config.experiment(experiment))


@dataclass(frozen=True)
class Request:
    """What a measuring command was asked."""

    name: str
    """What is to be measured: one of `PLANS`."""
    folders: list[Path] | None
    tier: str | None
    experiment: str | None
    cell: list[str] | None
    runs: str | None
    plugins: list[Path] | None
    given: dict[str, Any]
    """The options that change the plan, by the name of its field."""
    device: str | None
    """Where to compute. If it is not given, it is that of the tier, or the best."""
    threads: int | None
    """Of this process. They stay as they are if not given."""
    data: Path
    """The folder with `prepared/`."""
    store: Path
    """The store of finished runs. It keeps what is measured for a tier, since it cannot be measured
    again without the weights."""

    def chosen(self) -> Chosen:
        """The runs that are to be measured. Errors as of `chosen_runs`."""
        return chosen_runs(
            self.folders, self.tier, self.experiment, self.cell, self.runs, self.plugins
        )

    def measure(self, chosen: Chosen, plan: BaseModel) -> list[Path]:
        """Measure runs, after their data are prepared.

        Args:
            chosen: the runs.
            plan: how, of the kind that belongs to the name.

        Returns:
            The path of the record of each run.
        """
        import torch

        from vaebench.execution.device import choose_device
        from vaebench.runs.record import read_record

        execution = None if chosen.tier is None else chosen.tier.execution
        where = choose_device(self.device or ("auto" if execution is None else execution.device))
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        records = [read_record(run.folder / "metrics.json") for run in chosen.runs]
        for dataset in {record.run.dataset for record in records}:
            ensure_data(dataset, self.data, [] if execution is None else execution.mirrors)
        measure_runs = import_module(f"vaebench.{self.name}.measure").measure_runs
        keep = chosen.tier is not None
        measure_runs(chosen.runs, plan, self.data, where, self.store, keep=keep)
        return [run.folder / f"{self.name}.json" for run in chosen.runs]


FIRST: dict[str, Any] = {
    "run": Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of finished runs; or give --tier and --experiment."),
    ],
    "plugin": PluginOption,
    "tier": Annotated[
        str | None,
        typer.Option(help="Measure runs of a tier: its name, its config file, or its folder."),
    ],
    "experiment": Annotated[str | None, typer.Option(help="An experiment of the tier.")],
    "cell": CellOption,
    "runs": RunsOption,
}
"""The options of every measuring command before those of its plan. By default none is given."""
LAST: dict[str, tuple[Any, Any]] = {
    "device": (DeviceOption, None),
    "threads": (ThreadsOption, None),
    "data": (DataOption, DATA),
    "store": (StoreOption, STORE),
}
"""Those after them, with their defaults."""


def measuring_command(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command that measures runs, with an option for each field of its plan.

    Args:
        name: what it measures, which is the name of the command: one of `PLANS`. The function gets
            a `Request`. Further parameters of it are options of the command too.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        plan = PLANS[name]
        own = list(signature(function).parameters.values())[1:]

        def command(**options: Any) -> None:
            request = Request(
                name=name,
                folders=options["run"],
                plugins=options["plugin"],
                given={k: options[k] for k in plan.model_fields if options[k] is not None},
                **{each: options[each] for each in ("tier", "experiment", "cell", "runs", *LAST)},
            )
            function(request, **{each.name: options[each.name] for each in own})

        types = {
            **{each: (kind, None) for each, kind in FIRST.items()},
            **{field: (_option(plan, field), None) for field in plan.model_fields},
            **LAST,
            **{each.name: (each.annotation, each.default) for each in own},
        }
        command.__doc__ = function.__doc__
        command.__annotations__ = {each: kind for each, (kind, _) in types.items()}
        command.__signature__ = Signature(  # type: ignore[attr-defined]
            [
                Parameter(each, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
                for each, (kind, default) in types.items()
            ]
        )
        app.command(name, rich_help_panel=MEASURE)(command)
        return function

    return register


def _option(plan: type[BaseModel], name: str) -> Any:
    """The option for a field of a plan. It is not given by default, and then the field stays."""
    field = plan.model_fields[name]
    told = "" if field.default is None else f" Default: {field.default}."
    kind = str if isinstance(field.default, str) else int
    return Annotated[kind | None, typer.Option(help=f"{field.description}{told}".replace("`", ""))]


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
    layout: Layout, config: Tier, experiment: str, cell: list[str] | None, runs: str | None
) -> list[RunFiles]:
    packs = chosen_blocks([config.experiment(experiment)], cell or None, runs)
    return [
        RunFiles(layout.run(experiment, run.folder), layout.weights(experiment, run.folder))
        for _, pack in packs
        for run in pack.runs
    ]
