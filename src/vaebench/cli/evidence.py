"""The command that measures the evidence log p(x) of trained runs."""

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
from vaebench.experiment.evidence import EvidencePlan
from vaebench.experiment.plans import changed
from vaebench.paths import DATA, STORE

_help = partial(option_help, EvidencePlan)


@app.command(rich_help_panel=MEASURE)
def evidence(
    run: FoldersArgument = None,
    plugin: PluginOption = None,
    tier: MeasuredTierOption = None,
    experiment: ExperimentOption = None,
    cell: CellOption = None,
    runs: RunsOption = None,
    method: Annotated[str | None, typer.Option(help=_help("method"))] = None,
    images: Annotated[int | None, typer.Option(help=_help("images"))] = None,
    temperatures: Annotated[int | None, typer.Option(help=_help("temperatures"))] = None,
    chains: Annotated[int | None, typer.Option(help=_help("chains"))] = None,
    draws: Annotated[int | None, typer.Option(help=_help("draws"))] = None,
    simulated: Annotated[int | None, typer.Option(help=_help("simulated"))] = None,
    refined: Annotated[int | None, typer.Option(help=_help("refined"))] = None,
    seed: Annotated[int | None, typer.Option(help=_help("seed"))] = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    data: DataOption = DATA,
    store: StoreOption = STORE,
) -> None:
    """Measure the log evidence log p(x) of trained runs, and its gap to the bound.

    It needs the weights of the runs. With one or two latent dimensions the value is exact, from a
    grid. With more it is estimated by annealed importance sampling. It writes evidence.json and
    evidence.npz into the folder of each run. A measurement that was stopped continues from its
    finished blocks.
    """
    chosen = chosen_runs(run, tier, experiment, cell, runs, plugin)
    given = given_options(
        **{"method": method, "images": images, "temperatures": temperatures, "chains": chains},
        **{"draws": draws, "simulated": simulated, "refined": refined, "seed": seed},
    )
    plan = changed(chosen.plan(EvidencePlan), given)
    for record in measure("evidence", chosen, plan, device, threads, data, store):
        typer.echo(record)
