"""The command that measures what of trained runs depends on the input."""

from functools import partial
from typing import Annotated

import typer

from vaebench.cli.app import MEASURE, DataOption, app
from vaebench.cli.measuring import (
    ExperimentOption,
    FoldersArgument,
    MeasuredTierOption,
    chosen_runs,
    given_options,
    measure,
    option_help,
)
from vaebench.cli.options import (
    CellOption,
    DeviceOption,
    PluginOption,
    RunsOption,
    StoreOption,
    ThreadsOption,
)
from vaebench.experiment.dependence import DependencePlan
from vaebench.experiment.plans import changed
from vaebench.paths import DATA, STORE

_help = partial(option_help, DependencePlan)


@app.command(rich_help_panel=MEASURE)
def dependence(
    run: FoldersArgument = None,
    plugin: PluginOption = None,
    tier: MeasuredTierOption = None,
    experiment: ExperimentOption = None,
    cell: CellOption = None,
    runs: RunsOption = None,
    images: Annotated[int | None, typer.Option(help=_help("images"))] = None,
    draws: Annotated[int | None, typer.Option(help=_help("draws"))] = None,
    regressed: Annotated[int | None, typer.Option(help=_help("regressed"))] = None,
    seed: Annotated[int | None, typer.Option(help=_help("seed"))] = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    data: DataOption = DATA,
    store: StoreOption = STORE,
) -> None:
    """Measure what of trained runs depends on the input, from their weights.

    That is: how much means and standard deviations of codes vary over images and what that is
    worth; and log p(x), or log p(y|x) of hidden pixels, by draws of the encoder and by draws of the
    prior. It writes dependence.json and dependence.npz into the folder of each run.
    """
    chosen = chosen_runs(run, tier, experiment, cell, runs, plugin)
    given = given_options(images=images, draws=draws, regressed=regressed, seed=seed)
    plan = changed(chosen.plan(DependencePlan), given)
    for record in measure("dependence", chosen, plan, device, threads, data, store):
        typer.echo(record)
