"""The command that measures the paper's equations on runs, and makes their table."""

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
from vaebench.cli.results import PaperValuesOption
from vaebench.cli.run_folders import runs_in_folders, runs_of_tier
from vaebench.errors import UserError
from vaebench.experiment.equations import EquationsPlan, equations_plan
from vaebench.experiment.tier import find_layout, find_tier, load_tier
from vaebench.paths import DATA, PAPER_VALUES, STORE

Fields = EquationsPlan.model_fields


def _help(name: str) -> str:
    return f"{Fields[name].description} Default: {Fields[name].default}."


@app.command(rich_help_panel=MEASURE)
def equations(
    run: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of finished runs. Or give --tier."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            help="A tier: its name, its config file or its folder. With --experiment, the runs of "
            "that experiment are measured. Without it, the table of collected values is written."
        ),
    ] = None,
    experiment: Annotated[str | None, typer.Option(help="An experiment of the tier.")] = None,
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
    given = {
        **{"images": images, "refined": refined, "regressed": regressed},
        **{"temperatures": temperatures, "chains": chains, "seed": seed},
    }
    given = {name: value for name, value in given.items() if value is not None}
    if tier is not None and experiment is None:
        if run or cell or runs or given:
            raise UserError("give --experiment to measure its runs; the table takes --tier alone")
        _write_table(tier, paper_values)
        return
    config = None if tier is None else load_tier(find_tier(tier))
    if config is None or experiment is None:
        if experiment is not None or not run or cell or runs:
            raise UserError("give the folders of runs, or --tier")
        targets, plan, mirrors, kept_in = runs_in_folders(run), EquationsPlan(), list[str](), None
    else:
        if run:
            raise UserError("give folders of runs or a tier, not both")
        plan = config.experiment(experiment).equations_plan or EquationsPlan()
        targets, mirrors = runs_of_tier(config, experiment, cell, runs), config.execution.mirrors
        # The store keeps what tiers ask for: without weights, it cannot be measured again.
        kept_in = store
    _measure(
        *(targets, equations_plan(plan, given), data, mirrors, kept_in, threads),
        device or ("auto" if config is None else config.execution.device),
    )


def _write_table(tier: str, paper_values: Path) -> None:
    from vaebench.reporting.equations import write_equations
    from vaebench.results.read import load_results

    loaded = load_results(find_layout(tier).root)
    write_equations(loaded, paper_values)
    typer.echo(loaded.layout.equation_table("md"))


def _measure(
    targets: list[tuple[Path, Path]],
    plan: EquationsPlan,
    data: Path,
    mirrors: list[str],
    store: Path | None,
    threads: int | None,
    device: Any,
) -> None:
    import torch

    from vaebench.equations.measure import measure_runs
    from vaebench.evidence.measure import EvidenceTarget
    from vaebench.execution.device import choose_device
    from vaebench.runs.record import read_record

    if threads is not None:
        torch.set_num_threads(threads)
    measured = [EvidenceTarget(folder, weights) for folder, weights in targets]
    for dataset in {read_record(t.folder / "metrics.json").run.dataset for t in measured}:
        ensure_data(dataset, data, mirrors)
    measure_runs(measured, plan, data, choose_device(device), store)
    for target in measured:
        typer.echo(target.folder / "equations.json")
