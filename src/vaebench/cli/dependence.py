"""The command that measures what of trained runs depends on the input."""

from pathlib import Path
from typing import Annotated

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
from vaebench.experiment.dependence import DependencePlan, dependence_plan
from vaebench.experiment.tier import find_tier, load_tier
from vaebench.paths import DATA, STORE

Fields = DependencePlan.model_fields


def _help(name: str) -> str:
    return f"{Fields[name].description} Default: {Fields[name].default}."


@app.command(rich_help_panel=MEASURE)
def dependence(
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
    config = None if tier is None else load_tier(find_tier(tier))
    given = {"images": images, "draws": draws, "regressed": regressed, "seed": seed}
    given = {name: value for name, value in given.items() if value is not None}
    if config is None or experiment is None:
        if config is not None or experiment is not None or not run or cell or runs:
            raise UserError("give the folders of runs, or --tier with --experiment")
        targets, plan = runs_in_folders(run), dependence_plan(DependencePlan(), given)
        mirrors, kept_in = list[str](), None
    else:
        if run:
            raise UserError("give folders of runs or a tier, not both")
        chosen = config.experiment(experiment).dependence_plan or DependencePlan()
        targets = runs_of_tier(config, experiment, cell, runs)
        # The store keeps what tiers ask for: without weights, it cannot be measured again.
        plan, kept_in = dependence_plan(chosen, given), store
        mirrors = config.execution.mirrors
    import torch

    from vaebench.dependence.measure import measure_runs
    from vaebench.evidence.measure import EvidenceTarget
    from vaebench.execution.device import choose_device
    from vaebench.runs.record import read_record

    where = choose_device(device or ("auto" if config is None else config.execution.device))
    if threads is not None:
        torch.set_num_threads(threads)
    measured = [EvidenceTarget(folder, weights) for folder, weights in targets]
    for dataset in {read_record(t.folder / "metrics.json").run.dataset for t in measured}:
        ensure_data(dataset, data, mirrors)
    measure_runs(measured, plan, data, where, kept_in)
    for target in measured:
        typer.echo(target.folder / "dependence.json")
