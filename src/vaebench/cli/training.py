"""Commands that train: `train` for runs given by options, `run` for the runs of a tier."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from vaebench.cli.app import (
    TRAIN,
    DataOption,
    TierOption,
    app,
    parse_duration,
    parse_list,
    parse_names,
)
from vaebench.cli.options import (
    STOPPED,
    CellOption,
    DeviceOption,
    PluginOption,
    RunsOption,
    StartOverOption,
    StoreOption,
    ThreadsOption,
    TrackOption,
    ensure_data,
    make_resources,
)
from vaebench.cli.parameter_options import CommandWithParameters, given_parameters
from vaebench.cli.say import say
from vaebench.cli.summary import show_bounds, show_next_command
from vaebench.data.described import dataset_of
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.execution.out_folder import check_out
from vaebench.execution.slurm_job import job_deadline
from vaebench.experiment.defaults import MLP_DEFAULTS
from vaebench.experiment.grid import Experiment, expand
from vaebench.experiment.jobs import chosen_blocks
from vaebench.experiment.messages import describe
from vaebench.experiment.owner import check_owner, claim_results
from vaebench.experiment.settings import can_be_packed
from vaebench.experiment.tier import find_tier, load_tier, own_layout
from vaebench.families import POSTERIORS, PRIORS
from vaebench.likelihoods import LIKELIHOODS
from vaebench.networks import NETWORKS
from vaebench.objectives import OBJECTIVES
from vaebench.paths import DATA, STORE
from vaebench.progress import log
from vaebench.runs.finished import is_finished
from vaebench.runs.record import RunRecord, read_record

if TYPE_CHECKING:
    from vaebench.execution.session import Target

DIVERGED = 3
"""The exit status of `train` and `run` if a run diverged. All results are complete then."""


@app.command(cls=CommandWithParameters, rich_help_panel=TRAIN)
def train(
    context: typer.Context,
    objective: Annotated[
        str | None,
        typer.Option(
            help=f"One of: {', '.join(OBJECTIVES)}; or a list such as learned,bilbo, to compare."
        ),
    ] = None,
    dataset: Annotated[
        str,
        typer.Option(
            help=f"One of: {', '.join(DATASETS)}; or the path of a .npz file or of a folder of "
            "images, see docs/data.md."
        ),
    ] = "digits",
    likelihood: Annotated[
        str, typer.Option(help=f"One of: {', '.join(LIKELIHOODS)}.")
    ] = "bernoulli",
    latent_dim: Annotated[int, typer.Option(help="Latent dimension n.")] = 2,
    out: Annotated[
        Path, typer.Option(help="Folder for the results. Each run gets a folder in it.")
    ] = Path("out"),
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training set. Or give --steps.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimisation steps.")] = None,
    seeds: Annotated[
        str, typer.Option(help="Seeds, such as 0,1,2. Their runs are trained together.")
    ] = "0",
    posterior: Annotated[
        str | None,
        typer.Option(
            help=f"Family of posteriors, or a list: {', '.join(POSTERIORS)}. Only for objectives "
            "that allow several."
        ),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            help=f"Family of priors, or a list: {', '.join(PRIORS)}. Only for objectives that "
            "allow several."
        ),
    ] = None,
    latent_scale: Annotated[
        str | None,
        typer.Option(help="Factor c on the codes that the encoder returns, or a list. Default: 1."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Images in a mini-batch.")] = 300,
    learning_rate: Annotated[float, typer.Option(help="Adam's step size.")] = 0.001,
    schedule: Annotated[
        str,
        typer.Option(help="Schedule of the step size: constant, constant-cosine or cosine."),
    ] = "constant",
    weight_decay: Annotated[
        float | None, typer.Option(help="Decoupled weight decay, as in AdamW. Default: none.")
    ] = None,
    held_out: Annotated[
        float | None,
        typer.Option(
            help="Share of the training images that is held out. Their bound is recorded."
        ),
    ] = None,
    network: Annotated[str, typer.Option(help=f"One of: {', '.join(NETWORKS)}.")] = "mlp",
    precision: Annotated[
        str,
        typer.Option(
            help="Precision of the layers: float32, bfloat16 or tf32. It changes results."
        ),
    ] = "float32",
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Folder of a finished run, such as out/seed~0. It is continued with its own "
            "settings to more --epochs or --steps.",
        ),
    ] = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    keep_state: Annotated[
        bool,
        typer.Option(
            help="Keep the final states of runs in the store, so that longer runs can continue "
            "them. A state is three times as large as the weights."
        ),
    ] = True,
    save_every: Annotated[
        int, typer.Option(min=1, max=1_000_000_000, help="Epochs between saved states.")
    ] = 10,
    store: StoreOption = STORE,
    start_over: StartOverOption = False,
    track: TrackOption = None,
    data: DataOption = DATA,
    plugin: PluginOption = None,  # noqa: ARG001 - loaded before the other options are read
) -> None:
    """Train one or more objectives, with a run for each seed, and compare their bounds.

    It writes metrics.json, arrays.npz and model.safetensors to OUT/seed~0/ and so on. Lists in
    other options add folders: OUT/posterior_std~0.1/seed~0/. At the end it prints the bounds on the
    test set. The exit status is 3 if a run diverged. If the final state of a shorter run with
    the same settings was kept, training continues from it. With --from, such a state is required.

    For example:

        vaebench train --objective learned,bilbo --seeds 0,1 --epochs 10

        vaebench train --objective beta-vae --beta 0.5,1,4 --warm-up 0.2 --epochs 10

        vaebench train --plugin my_vae.py --objective learned,my-vae --epochs 10

        vaebench train --from out/objective~bilbo/seed~0 --epochs 20 --out out-20
    """
    dataset = dataset_of(dataset)
    values: dict[str, Any] = {
        "dataset": dataset,
        "likelihood": likelihood,
        "latent_dim": latent_dim,
        "network": network,
        "precision": precision,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "weight_decay": weight_decay,
        "held_out": held_out,
        "epochs": epochs,
        "steps": steps,
    }
    lists: dict[str, list[Any]] = (
        {} if objective is None else {"objective": parse_names("objective", objective)}
    )
    for name, families in {"posterior": posterior, "prior": prior}.items():
        if families is not None:
            lists[name] = parse_names(name, families)
    if latent_scale is not None:
        lists["latent_scale"] = parse_list("latent_scale", latent_scale, float)
    lists |= given_parameters(context)
    lists["seed"] = parse_list("seeds", seeds, int)
    if from_ is not None:
        values, lists = _of_longer_run(context, from_, values, lists)
    elif objective is None:
        raise UserError(f"--objective is missing: one of {', '.join(OBJECTIVES)}, or a list")
    experiment = _experiment(values, lists)
    cells = expand(experiment)

    check_out(out, [run for cell in cells for run in cell.runs])
    ensure_data(dataset, data, [])
    resources = make_resources(
        device or "auto",
        threads,
        data,
        store,
        save_every,
        job_deadline(),
        start_over,
        keep_state,
        must_continue=from_ is not None,
        track=track,
    )

    from vaebench.execution.check_objective import check_packs
    from vaebench.execution.session import Target, train_targets

    packs = [[run.settings for run in cell.runs] for cell in cells]
    check_packs(packs, data, resources.device)
    targets = []
    for cell in cells:
        of_cell = [
            Target(run.settings, out / run.folder, out / run.folder / "model.safetensors")
            for run in cell.runs
        ]
        if not train_targets(cell.shared.objective, of_cell, resources):
            raise typer.Exit(STOPPED)
        targets += of_cell
    for target in targets:
        say(target.folder / "metrics.json")
    records = [read_record(target.folder / "metrics.json") for target in targets]
    show_bounds(records, list(experiment.axes))

    def is_valid(objectives: list[str]) -> bool:
        try:
            _experiment(values, lists | {"objective": objectives})
        except UserError:
            return False
        return True

    show_next_command(context, records, is_valid)
    _end(targets, records)


@app.command(rich_help_panel=TRAIN)
def run(
    tier: TierOption,
    experiment: Annotated[
        str | None, typer.Option(help="Only this experiment of the tier.")
    ] = None,
    cell: CellOption = None,
    runs: RunsOption = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Save the state and stop after this time, such as 90s, 9m or 2h."),
    ] = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    store: StoreOption = STORE,
    start_over: StartOverOption = False,
    track: TrackOption = None,
) -> None:
    """Train the runs of a tier that are not trained yet, without Snakemake.

    Use it on a machine without Snakemake, such as a notebook with a GPU. Snakemake finds the
    results afterwards. The same command continues where it stopped. It exits with status 0 if
    --budget is spent, and with 75 if it stops before the wall time of a Slurm job ends.
    """
    config = load_tier(find_tier(tier))
    layout = own_layout(tier, config)
    check_owner(config, find_tier(tier), layout)
    ends = {"wall time is nearly over": job_deadline()}
    if budget is not None:
        ends["budget is spent"] = time.monotonic() + parse_duration(budget)
    spent, deadline = min(
        ((what, end) for what, end in ends.items() if end is not None),
        key=lambda item: item[1],
        default=("", None),
    )
    chosen = config.experiments if experiment is None else [config.experiment(experiment)]
    packs = chosen_blocks(chosen, cell or None, runs)
    for dataset in dict.fromkeys(pack.shared.dataset for _, pack in packs):
        ensure_data(dataset, DATA, config.execution.mirrors)
    execution = config.execution
    resources = make_resources(
        device or execution.device,
        threads,
        DATA,
        store,
        execution.save_every,
        deadline,
        start_over,
        execution.keep_state,
        track=track or execution.track,
    )

    from vaebench.execution.check_objective import check_packs
    from vaebench.execution.session import targets_of, train_targets

    missing = [
        [run.settings for run in pack.runs]
        for name, pack in packs
        if not all(is_finished(layout, name, run) for run in pack.runs)
    ]
    check_packs(missing, DATA, resources.device)
    claim_results(config, find_tier(tier), layout)
    for done, (name, pack) in enumerate(packs):
        targets = targets_of(layout, name, pack.runs)
        if not train_targets(f"{name} {pack.label}", targets, resources):
            if deadline is None or time.monotonic() < deadline:
                raise typer.Exit(STOPPED)
            log.info(f"the {spent}: {done} of {len(packs)} jobs are complete")
            raise typer.Exit(0 if spent.startswith("budget") else STOPPED)
    log.info(f"{len(packs)} of {len(packs)} jobs are complete")
    places = [t for name, pack in packs for t in targets_of(layout, name, pack.runs)]
    _end(places, [read_record(target.folder / "metrics.json") for target in places])


def _end(targets: Sequence["Target"], records: Sequence[RunRecord]) -> None:
    """End the command in a line and an exit status of their own if runs diverged."""
    diverged = [
        f"{target.folder} at step {record.diverged_step}"
        for target, record in zip(targets, records, strict=True)
        if record.status == "diverged"
    ]
    if diverged:
        more = f" and {len(diverged) - 1} more" if len(diverged) > 1 else ""
        log.warning(f"{len(diverged)} of {len(records)} runs diverged: {diverged[0]}{more}")
        raise typer.Exit(DIVERGED)


def _of_longer_run(
    context: typer.Context,
    folder: Path,
    values: dict[str, Any],
    lists: dict[str, list[Any]],
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The settings of the run that continues the one in a folder, as `_experiment` takes them.

    Raises:
        UserError: there is no such run, it cannot be continued, or other options were given for it.
    """
    from vaebench.execution.continuation import longer_run

    def is_given(name: str) -> bool:
        source = context.get_parameter_source("seeds" if name == "seed" else name)
        return source is not None and source.name == "COMMANDLINE"

    singles = {name: list_[0] if len(list_) == 1 else list_ for name, list_ in lists.items()}
    given = {
        name: value
        for name, value in (values | singles).items()
        if name not in ("epochs", "steps") and is_given(name)
    }
    record = read_record(folder / "metrics.json")
    run = longer_run(record, values["epochs"], values["steps"], given).given()
    return (
        {name: value for name, value in run.items() if name not in ("objective", "seed")},
        {"objective": [run["objective"]], "seed": [run["seed"]]},
    )


def _experiment(values: dict[str, Any], lists: dict[str, list[Any]]) -> Experiment:
    """The runs that the options ask for, as an experiment.

    Args:
        values: settings with one value. None for those that are not given.
        lists: settings that may have several values, the objective and the seed among them.

    Raises:
        UserError: the settings of a run are invalid.
    """
    settings = {name: value for name, value in values.items() if value is not None}
    if settings["network"] == "mlp":
        settings = {k: v for k, v in MLP_DEFAULTS.items() if k not in lists} | settings
    axes = {name: list_ for name, list_ in lists.items() if len(list_) > 1 or name == "seed"}
    settings |= {name: list_[0] for name, list_ in lists.items() if name not in axes}
    packed = [name for name in axes if can_be_packed(name)]
    try:
        return Experiment.model_validate(
            {"name": "train", "settings": settings, "axes": axes, "packed": packed}
        )
    except ValidationError as error:
        text = describe(error).replace("(top level): ", "")
        raise UserError(re.sub(r"^(settings|axes)\.", "", text, flags=re.MULTILINE)) from None
