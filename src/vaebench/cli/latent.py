"""The command that says whether it is safe to sample from the prior of a trained run."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

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
from vaebench.errors import UserError
from vaebench.experiment.latent import LatentPlan
from vaebench.experiment.plans import changed
from vaebench.extras import require
from vaebench.paths import DATA, STORE
from vaebench.progress import log

_help = partial(option_help, LatentPlan)


@app.command(rich_help_panel=MEASURE)
def latent(
    run: FoldersArgument = None,
    plugin: PluginOption = None,
    tier: MeasuredTierOption = None,
    experiment: ExperimentOption = None,
    cell: CellOption = None,
    runs: RunsOption = None,
    draws: Annotated[int | None, typer.Option(help=_help("draws"))] = None,
    images: Annotated[int | None, typer.Option(help=_help("images"))] = None,
    samples: Annotated[int | None, typer.Option(help=_help("samples"))] = None,
    turned: Annotated[int | None, typer.Option(help=_help("turned"))] = None,
    seed: Annotated[int | None, typer.Option(help=_help("seed"))] = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    data: DataOption = DATA,
    store: StoreOption = STORE,
) -> None:
    """Say whether it is safe to sample from the prior of a trained run, and if not, what to do.

    It compares the codes of all training images with the prior, and writes latent.json and
    latent.npz into the folder of each run.
    """
    chosen = chosen_runs(run, tier, experiment, cell, runs, plugin)
    given = given_options(draws=draws, images=images, samples=samples, turned=turned, seed=seed)
    plan = changed(chosen.plan(LatentPlan), given)
    if plan.samples:
        plan = _with_samples(plan, is_asked=chosen.tier is not None or samples is not None)
    for record in measure("latent", chosen, plan, device, threads, data, store):
        _show(record)
        typer.echo(record)


def _with_samples(plan: LatentPlan, is_asked: bool) -> LatentPlan:
    """The plan; without samples where what measures them is not installed, unless they are asked.

    Raises:
        UserError: they are asked for.
    """
    try:
        require("quality")
    except UserError as error:
        if is_asked:
            raise
        log.info(f"samples are not measured: {error}")
        return changed(plan, {"samples": 0})
    return plan


def _show(record: Path) -> None:
    """Print the report of a run, as a table where a person reads it."""
    from rich.console import Console
    from rich.table import Table

    from vaebench.latent.report import report
    from vaebench.runs.latent_record import LatentRecord
    from vaebench.runs.record import read_as

    found: Any = read_as(LatentRecord, record, "").latent
    if found is None:
        typer.echo(f"{record.parent}: the run diverged, so that its codes say nothing")
        return
    shown, console = report(found), Console()
    if not console.is_terminal:
        typer.echo(str(shown))
        return
    console.print(f"\n[bold]{shown.title}[/bold]")
    for sentence in shown.sentences:
        console.print(sentence, highlight=False, markup=False)
    table = Table("what", "measured", "how to read it", title_justify="left")
    for line in shown.lines:
        table.add_row(line.what, line.value, line.says)
    console.print(table)
