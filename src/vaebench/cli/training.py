"""Commands that train: `train` for runs given by options, `run` for the runs of a tier."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from vaebench.cli.app import DataOption, TierOption, app, parse_duration, parse_list
from vaebench.data.described import dataset_of
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.execution.slurm_job import job_deadline
from vaebench.experiment.grid import Experiment, expand
from vaebench.experiment.jobs import chosen_blocks
from vaebench.experiment.tier import describe, find_tier, load_tier
from vaebench.likelihoods import LIKELIHOODS
from vaebench.networks import NETWORKS
from vaebench.objectives import OBJECTIVES
from vaebench.paths import DATA, Layout
from vaebench.progress import log

if TYPE_CHECKING:
    from vaebench.execution.session import Resources

STOPPED = 75
"""The exit status of a training that was stopped and has saved its state (EX_TEMPFAIL)."""
STORE = Path(".vaebench")

DeviceOption = Annotated[
    str | None,
    typer.Option(
        envvar="VAEBENCH_DEVICE",
        help="auto (a GPU where there is one), cpu, cuda or mps; default: the tier's, or auto.",
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, help="CPU threads; all cores if not given.")
]
CellOption = Annotated[
    list[str] | None,
    typer.Option(help="Only this cell, such as objective~bilbo/latent_dim~2; can be repeated."),
]
RunsOption = Annotated[
    str | None,
    typer.Option(help="Only these runs of the one cell, such as 1-30, trained together."),
]
StoreOption = Annotated[
    Path,
    typer.Option(
        envvar="VAEBENCH_STORE",
        help="Folder of finished and unfinished training: runs found there are not trained again.",
    ),
]
StartOverOption = Annotated[
    bool,
    typer.Option(
        "--start-over",
        envvar="VAEBENCH_START_OVER",
        help="Discard saved states, and finished runs that are damaged, and train them anew.",
    ),
]


@app.command()
def train(
    dataset: Annotated[
        str,
        typer.Option(
            help=f"One of: {', '.join(DATASETS)}; or the path of a .npz file or of a folder of "
            "images, see docs/data.md."
        ),
    ],
    objective: Annotated[str, typer.Option(help=f"One of: {', '.join(OBJECTIVES)}.")],
    likelihood: Annotated[str, typer.Option(help=f"One of: {', '.join(LIKELIHOODS)}.")],
    latent_dim: Annotated[int, typer.Option(help="Latent dimension n.")],
    out: Annotated[Path, typer.Option(help="Folder for the results, one folder a run.")],
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training set; or give --steps.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimisation steps.")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0,1,2; trained together.")] = "0",
    posterior_std: Annotated[
        str | None,
        typer.Option(help="sigma of a constant posterior, or a list such as 0.1,1; default 1."),
    ] = None,
    latent_scale: Annotated[
        str | None, typer.Option(help="c, factor on the encoder's output, or a list; default 1.")
    ] = None,
    data_scale: Annotated[
        str | None,
        typer.Option(help="lambda, factor on the data, or a list; Gaussian likelihoods only."),
    ] = None,
    tau: Annotated[
        str | None,
        typer.Option(help="tau, the information factor of BAGGINS (Eq. 29), or a list."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Images in a batch.")] = 300,
    learning_rate: Annotated[float, typer.Option(help="Adam's step size.")] = 0.001,
    schedule: Annotated[
        str, typer.Option(help="The step size during training: constant or constant-cosine.")
    ] = "constant",
    network: Annotated[str, typer.Option(help=f"One of: {', '.join(NETWORKS)}.")] = "mlp",
    hidden_units: Annotated[
        int | None, typer.Option(help="Units of each hidden layer of mlp; default 200.")
    ] = None,
    hidden_layers: Annotated[
        int | None, typer.Option(help="Hidden layers of mlp's encoder and decoder; default 3.")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(help="Of layers: float32, or bfloat16 or tf32, which change results."),
    ] = "float32",
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    save_every: Annotated[int, typer.Option(min=1, help="Epochs between saved states.")] = 10,
    store: StoreOption = STORE,
    start_over: StartOverOption = False,
    data: DataOption = DATA,
) -> None:
    """Train one objective, a run for each seed, without a workflow.

    Writes OUT/seed~0/ with metrics.json, arrays.npz and model.safetensors, and so on for each
    seed. Lists in other options add a folder: OUT/posterior_std~0.1/seed~0/. All runs are trained
    together. Example:

        vaebench train --dataset mnist --objective bilbo --likelihood bernoulli
        --latent-dim 2 --seeds 0,1 --epochs 10 --out out
    """
    dataset = dataset_of(dataset)
    fixed: dict[str, Any] = {
        "dataset": dataset,
        "objective": objective,
        "likelihood": likelihood,
        "latent_dim": latent_dim,
        "network": network,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "precision": precision,
    }
    if network == "mlp":
        fixed |= {"hidden_units": 200, "hidden_layers": 3}
    fixed |= {
        name: value
        for name, value in {
            "epochs": epochs,
            "steps": steps,
            "hidden_units": hidden_units,
            "hidden_layers": hidden_layers,
        }.items()
        if value is not None
    }
    axes: dict[str, list[Any]] = {}
    for name, text in {
        "posterior_std": posterior_std,
        "latent_scale": latent_scale,
        "data_scale": data_scale,
        "tau": tau,
    }.items():
        values = None if text is None else parse_list(name, text, float)
        if values is not None and len(values) == 1:
            fixed[name] = values[0]
        elif values is not None:
            axes[name] = values
    axes["seed"] = parse_list("seeds", seeds, int)
    experiment = _validated(
        {"name": "train", "settings": fixed, "axes": axes, "packed": list(axes)}
    )
    (cell,) = expand(experiment)

    ensure_data(dataset, data, [])
    resources = _resources(
        device or "auto", threads, data, store, save_every, job_deadline(), start_over
    )

    from vaebench.execution.session import Target, train_targets

    targets = [
        Target(run.settings, out / run.folder, out / run.folder / "model.safetensors")
        for run in cell.runs
    ]
    if not train_targets(objective, targets, resources):
        raise typer.Exit(STOPPED)
    for target in targets:
        typer.echo(target.folder / "metrics.json")


@app.command()
def run(
    tier: TierOption,
    experiment: Annotated[
        str | None, typer.Option(help="Only this experiment of the tier.")
    ] = None,
    cell: CellOption = None,
    runs: RunsOption = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Stop after this time, such as 90s, 9m or 2h; state is saved."),
    ] = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    store: StoreOption = STORE,
    start_over: StartOverOption = False,
) -> None:
    """Train what a tier still lacks, job by job, without Snakemake.

    For machines that have none, such as a notebook's GPU. Results go where the workflow looks for
    them. Run it again to continue. With --budget, running out of time is no failure. In a Slurm job
    it stops before the wall time is over, with exit status 75.
    """
    config = load_tier(find_tier(tier))
    deadline = job_deadline() if budget is None else time.monotonic() + parse_duration(budget)
    chosen = config.experiments if experiment is None else [config.experiment(experiment)]
    packs = chosen_blocks(chosen, cell or None, runs)
    for dataset in dict.fromkeys(pack.shared.dataset for _, pack in packs):
        ensure_data(dataset, DATA, config.execution.mirrors)
    execution = config.execution
    resources = _resources(
        device or execution.device,
        threads,
        DATA,
        store,
        execution.save_every,
        deadline,
        start_over,
    )

    from vaebench.execution.session import targets_of, train_targets

    for done, (name, pack) in enumerate(packs):
        targets = targets_of(Layout.of(config.tier), name, pack.runs)
        if not train_targets(f"{name} {pack.label}", targets, resources):
            if deadline is None or time.monotonic() < deadline:
                raise typer.Exit(STOPPED)
            spent = "wall time is nearly over" if budget is None else "budget is spent"
            log.info(f"the {spent}: {done} of {len(packs)} jobs are complete")
            raise typer.Exit(STOPPED if budget is None else 0)
    log.info(f"{len(packs)} of {len(packs)} jobs are complete")


def ensure_data(dataset: str, root: Path, mirrors: list[str]) -> None:
    """Prepare a dataset unless it is prepared already, from its source as it is now."""
    from vaebench.data.prepared import is_prepared, prepare

    if not is_prepared(root / "prepared", dataset):
        log.info(f"preparing dataset {dataset}")
        prepare(dataset, root, mirrors)


def _resources(
    device: str,
    threads: int | None,
    data: Path,
    store: Path,
    save_every: int,
    deadline: float | None = None,
    start_over: bool = False,
) -> "Resources":
    """How and where to train. This sets the number of threads of this process."""
    import torch

    from vaebench.execution.device import choose_device
    from vaebench.execution.session import Resources

    if threads is not None:
        torch.set_num_threads(threads)
    return Resources(choose_device(device), data, store, save_every, deadline, start_over)


def _validated(values: dict[str, Any]) -> Experiment:
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        text = describe(error).replace("(top level): ", "")
        raise UserError(re.sub(r"^(settings|axes)\.", "", text, flags=re.MULTILINE)) from None
