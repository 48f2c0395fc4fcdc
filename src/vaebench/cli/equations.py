"""The command that measures the paper's equations on runs, and makes their table."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from vaebench.cli.app import MEASURE, DataOption, app
from vaebench.cli.measuring import (
    ExperimentOption,
    FoldersArgument,
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
from vaebench.cli.results import PaperValuesOption
from vaebench.errors import UserError
from vaebench.experiment.equations import EquationsPlan, equations_plan
from vaebench.experiment.tier import find_layout
from vaebench.paths import DATA, PAPER_VALUES, STORE

_help = partial(option_help, EquationsPlan)


@app.command(rich_help_panel=MEASURE)
def equations(
    run: FoldersArgument = None,
    plugin: PluginOption = None,
    tier: Annotated[
        str | None,
        typer.Option(
            help="A tier: its name, its config file or its folder. With --experiment, the runs of "
            "that experiment are measured. Without it, the table of collected values is written."
        ),
    ] = None,
    experiment: ExperimentOption = None,
    cell: CellOption = None,
    runs: RunsOption = None,
    images: Annotated[int | None, typer.Option(help=_help("images"))] = None,
    refined: Annotated[int | None, typer.Option(help=_help("refined"))] = None,
    regressed: Annotated[int | None, typer.Option(help=_help("regressed"))] = None,
    temperatures: Annotated[int | None, typer.Option(help=_help("temperatures"))] = None,
    chains: Annotated[int | None, typer.Option(help=_help("chains"))] = None,
    seed: Annotated[int | None, typer.Option(help=_help("seed"))] = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    data: DataOption = DATA,
    store: StoreOption = STORE,
    paper_values: PaperValuesOption = PAPER_VALUES,
) -> None:
    """Measure the paper's Equations 4 to 30 on trained networks and on their initial weights.

    It writes equations.json and equations.npz into the folder of each run.
    """
    given = given_options(
        **{"images": images, "refined": refined, "regressed": regressed},
        **{"temperatures": temperatures, "chains": chains, "seed": seed},
    )
    if tier is not None and experiment is None:
        if run or cell or runs or given:
            raise UserError("give --experiment to measure its runs; the table takes --tier alone")
        _write_table(tier, paper_values)
        return
    chosen = chosen_runs(run, tier, experiment, cell, runs, plugin)
    plan = equations_plan(chosen.plan(EquationsPlan), given)
    for record in measure("equations", chosen, plan, device, threads, data, store):
        typer.echo(record)


def _write_table(tier: str, paper_values: Path) -> None:
    from vaebench.reporting.equations import write_equations
    from vaebench.results.read import load_results

    loaded = load_results(find_layout(tier).root)
    write_equations(loaded, paper_values)
    typer.echo(loaded.layout.equation_table("md"))
