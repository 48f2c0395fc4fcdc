"""The command that measures the evidence log p(x) of trained runs."""

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
from vaebench.experiment.evidence import EvidencePlan, evidence_plan
from vaebench.experiment.tier import find_tier, load_tier
from vaebench.paths import DATA, STORE

Fields = EvidencePlan.model_fields


def _help(name: str) -> str:
    default = Fields[name].default
    told = "" if default is None else f" Default: {default}."
    return f"{Fields[name].description}{told}".replace("`", "")


@app.command(rich_help_panel=MEASURE)
def evidence(
    run: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of finished runs. Or give --tier and --experiment."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(help="Measure runs of this tier: its name, its config file or its folder."),
    ] = None,
    experiment: Annotated[str | None, typer.Option(help="An experiment of the tier.")] = None,
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
    from vaebench.evidence.measure import EvidenceTarget, measure_runs

    config = None if tier is None else load_tier(find_tier(tier))
    given = {
        **{"method": method, "images": images, "temperatures": temperatures, "chains": chains},
        **{"draws": draws, "simulated": simulated, "refined": refined, "seed": seed},
    }
    given = {name: value for name, value in given.items() if value is not None}
    if config is None or experiment is None:
        if config is not None or experiment is not None or not run or cell or runs:
            raise UserError("give the folders of runs, or --tier with --experiment")
        targets, plan, mirrors = runs_in_folders(run), evidence_plan(EvidencePlan(), given), []
    else:
        if run:
            raise UserError("give folders of runs or a tier, not both")
        chosen = config.experiment(experiment).evidence_plan or EvidencePlan()
        targets, plan = runs_of_tier(config, experiment, cell, runs), evidence_plan(chosen, given)
        mirrors = config.execution.mirrors
    import torch

    from vaebench.execution.device import choose_device
    from vaebench.runs.record import read_record

    wish = "auto" if config is None else config.execution.device
    where = choose_device(device or wish)
    if threads is not None:
        torch.set_num_threads(threads)
    measured = [EvidenceTarget(folder, weights) for folder, weights in targets]
    for dataset in {read_record(t.folder / "metrics.json").run.dataset for t in measured}:
        ensure_data(dataset, data, mirrors)
    # The store keeps what tiers ask for: without weights, it cannot be measured again.
    measure_runs(measured, plan, data, where, store, keep=config is not None)
    for target in measured:
        typer.echo(target.folder / "evidence.json")
