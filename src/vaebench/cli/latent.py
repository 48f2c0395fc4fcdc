"""The command that says whether it is safe to sample from the prior of a trained run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vaebench.cli.app import MEASURE, DataOption, app
from vaebench.cli.options import (
    CellOption,
    DeviceOption,
    RunsOption,
    StoreOption,
    ThreadsOption,
    ensure_data,
)
from vaebench.cli.run_folders import runs_in_folders, runs_of_tier
from vaebench.errors import UserError
from vaebench.experiment.latent import LatentPlan, latent_plan
from vaebench.experiment.tier import find_tier, load_tier
from vaebench.extras import require
from vaebench.paths import DATA, STORE
from vaebench.progress import log

Fields = LatentPlan.model_fields


def _help(name: str) -> str:
    return f"{Fields[name].description} Default: {Fields[name].default}."


@app.command(rich_help_panel=MEASURE)
def latent(
    run: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of finished runs; or give --tier and --experiment."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(help="Measure runs of a tier: its name, its config file, or its folder."),
    ] = None,
    experiment: Annotated[str | None, typer.Option(help="An experiment of the tier.")] = None,
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
    config = None if tier is None else load_tier(find_tier(tier))
    given = {"draws": draws, "images": images, "samples": samples, "turned": turned, "seed": seed}
    given = {name: value for name, value in given.items() if value is not None}
    mirrors: list[str] = []
    if config is None or experiment is None:
        if config is not None or experiment is not None or not run or cell or runs:
            raise UserError("give the folders of runs, or --tier with --experiment")
        targets, plan = runs_in_folders(run), latent_plan(LatentPlan(), given)
    else:
        if run:
            raise UserError("give folders of runs or a tier, not both")
        chosen = config.experiment(experiment).latent_plan or LatentPlan()
        targets, plan = runs_of_tier(config, experiment, cell, runs), latent_plan(chosen, given)
        mirrors = config.execution.mirrors
    if plan.samples:
        plan = _with_samples(plan, is_asked=config is not None or samples is not None)
    import torch

    from vaebench.evidence.measure import EvidenceTarget
    from vaebench.execution.device import choose_device
    from vaebench.latent.measure import measure_runs
    from vaebench.runs.record import read_record

    where = choose_device(device or ("auto" if config is None else config.execution.device))
    if threads is not None:
        torch.set_num_threads(threads)
    measured = [EvidenceTarget(folder, weights) for folder, weights in targets]
    for dataset in {read_record(t.folder / "metrics.json").run.dataset for t in measured}:
        ensure_data(dataset, data, mirrors)
    # The store keeps what tiers ask for: without weights, it cannot be measured again.
    measure_runs(measured, plan, data, where, store, keep=config is not None)
    for target in measured:
        if config is None:
            _show(target.folder)
        typer.echo(target.folder / "latent.json")


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
        return latent_plan(plan, {"samples": 0})
    return plan


def _show(folder: Path) -> None:
    """Print the report of a run, as a table where a person reads it."""
    from rich.console import Console
    from rich.table import Table

    from vaebench.latent.report import report
    from vaebench.runs.latent_record import LatentRecord
    from vaebench.runs.record import read_as

    found: Any = read_as(LatentRecord, folder / "latent.json", "").latent
    if found is None:
        typer.echo(f"{folder}: the run diverged, so that its codes say nothing")
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
