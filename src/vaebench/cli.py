"""The command line. Each command is thin: it reads its options and calls one function.

Modules that import torch or seaborn are imported inside the commands, so that `--help` and
planning stay quick.
"""

import re
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from vaebench.config import Execution, Tier, describe, dump_tier, find_tier, load_tier
from vaebench.data import DATASETS
from vaebench.errors import UserError
from vaebench.figures import FIGURES
from vaebench.files import write_atomically
from vaebench.grid import Cell, expand
from vaebench.layout import DATA, Layout
from vaebench.likelihoods import LIKELIHOODS
from vaebench.objectives import OBJECTIVES
from vaebench.progress import say
from vaebench.settings import Settings

app = typer.Typer(
    help="A reproducible benchmark of variational auto-encoder objectives. "
    "`snakemake --cores all` runs everything; these commands are its parts, for trying one thing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

STOPPED = 75
"""Exit status of a training that was stopped with its state saved (EX_TEMPFAIL)."""

DeviceOption = Annotated[
    str,
    typer.Option(
        envvar="VAEBENCH_DEVICE", help="auto (a GPU where there is one), cpu, cuda or mps."
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, help="CPU threads; all cores if not given.")
]
StoreOption = Annotated[
    Path,
    typer.Option(
        envvar="VAEBENCH_STORE",
        help="Folder of finished and unfinished training: runs found there are not trained again.",
    ),
]
DataOption = Annotated[
    Path, typer.Option(envvar="VAEBENCH_DATA", help="Folder of raw and prepared datasets.")
]
TierOption = Annotated[
    str, typer.Option("--tier", help="Name of a file in config/, such as paper, or a path.")
]
STORE = Path(".vaebench")


@app.command()
def train(
    dataset: Annotated[str, typer.Option(help=f"One of: {', '.join(DATASETS)}.")],
    objective: Annotated[str, typer.Option(help=f"One of: {', '.join(OBJECTIVES)}.")],
    likelihood: Annotated[str, typer.Option(help=f"One of: {', '.join(LIKELIHOODS)}.")],
    latent_dim: Annotated[int, typer.Option(help="Latent dimension n.")],
    epochs: Annotated[int, typer.Option(help="Passes over the training set.")],
    out: Annotated[Path, typer.Option(help="Folder for the results, one folder a run.")],
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
    batch_size: Annotated[int, typer.Option(help="Images in a batch.")] = 300,
    learning_rate: Annotated[float, typer.Option(help="Adam's step size.")] = 0.001,
    hidden_units: Annotated[int, typer.Option(help="Units of each hidden layer.")] = 200,
    hidden_layers: Annotated[int, typer.Option(help="Hidden layers of encoder and decoder.")] = 3,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    save_every: Annotated[int, typer.Option(min=1, help="Epochs between saved states.")] = 10,
    store: StoreOption = STORE,
    data: DataOption = DATA,
) -> None:
    """Train one objective, a run for each seed, without a workflow.

    Writes OUT/seed~0/ with metrics.json, arrays.npz and model.safetensors, and so on for each
    seed. Lists in other options add a folder: OUT/posterior_std~0.1/seed~0/. All runs are trained
    together. Example:

        vaebench train --dataset mnist --objective bilbo --likelihood bernoulli
        --latent-dim 2 --seeds 0,1 --epochs 10 --out out
    """
    fixed: dict[str, Any] = {
        "dataset": dataset,
        "objective": objective,
        "likelihood": likelihood,
        "latent_dim": latent_dim,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "hidden_units": hidden_units,
        "hidden_layers": hidden_layers,
    }
    axes: dict[str, list[Any]] = {}
    for name, text in {
        "posterior_std": posterior_std,
        "latent_scale": latent_scale,
        "data_scale": data_scale,
    }.items():
        values = None if text is None else parse_list(name, text, float)
        if values is not None and len(values) == 1:
            fixed[name] = values[0]
        elif values is not None:
            axes[name] = values
    axes["seed"] = parse_list("seeds", seeds, int)
    experiment = {"name": "train", "settings": fixed, "axes": axes, "packed": list(axes)}
    tier = _validated({"tier": "train", "experiments": [experiment], "figures": []})
    (cell,) = expand(tier.experiments[0])

    from vaebench.training.session import Target

    ensure_data(dataset, data, [])
    targets = [
        Target(run.settings, out / run.folder, out / run.folder / "model.safetensors")
        for run in cell.runs
    ]
    execution = Execution(save_every=save_every)
    complete = _train(objective, targets, execution, device, threads, store, data, None)
    for target in targets if complete else []:
        typer.echo(target.folder / "metrics.json")
    if not complete:
        raise typer.Exit(STOPPED)


@app.command()
def run(
    tier: TierOption,
    experiment: Annotated[
        str | None, typer.Option(help="Only this experiment of the tier.")
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(help="Only this training job, such as objective~bilbo/latent_dim~2."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Stop after this time, such as 90s, 9m or 2h; state is saved."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(envvar="VAEBENCH_DEVICE", help="auto, cpu, cuda or mps; default: the tier's."),
    ] = None,
    threads: ThreadsOption = None,
    store: StoreOption = STORE,
) -> None:
    """Train what a tier still lacks, job by job, without Snakemake.

    For machines that have none, such as a notebook's GPU. Results go where the workflow looks for
    them. Run it again to continue. With --budget, running out of time is no failure.
    """
    config = load_tier(find_tier(tier))
    deadline = None if budget is None else time.monotonic() + parse_duration(budget)
    jobs = _jobs(config, experiment, cell)
    for dataset in dict.fromkeys(c.runs[0].settings.dataset for _, c in jobs):
        ensure_data(dataset, DATA, config.execution.mirrors)
    for done, (name, job) in enumerate(jobs):
        targets = cell_targets(Layout.of(config.tier), name, job)
        label = f"{name} {job.folder}"
        complete = _train(
            label,
            targets,
            config.execution,
            device or config.execution.device,
            threads,
            store,
            DATA,
            deadline,
        )
        if not complete:
            if deadline is not None and time.monotonic() > deadline:
                say(f"the budget is spent: {done} of {len(jobs)} jobs are complete")
                return
            raise typer.Exit(STOPPED)
    say(f"{len(jobs)} of {len(jobs)} jobs are complete")


@app.command()
def data(
    names: Annotated[list[str], typer.Argument(help=f"Any of: {', '.join(DATASETS)}.")],
    mirror: Annotated[
        list[str] | None,
        typer.Option(help="Folder or URL that holds NAME/FILE, tried before the official hosts."),
    ] = None,
    root: DataOption = DATA,
) -> None:
    """Fetch, verify and prepare datasets.

    Sources in order: a verified copy already in ROOT/raw, the folder or URL that VAEBENCH_MIRROR
    names, --mirror, the official hosts.
    """
    from vaebench.data.prepared import prepare

    for name in names:
        if name not in DATASETS:
            raise UserError(f"there is no dataset '{name}'; there are: {', '.join(DATASETS)}")
        typer.echo(prepare(name, root, mirror or []))


@app.command()
def config(
    tier: TierOption,
    out: Annotated[Path | None, typer.Option(help="A file to write instead.")] = None,
) -> None:
    """Check a tier's config and print it as resolved, every default written out."""
    text = dump_tier(load_tier(find_tier(tier)))
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_atomically(out, text.encode())


@app.command()
def collect(tier: TierOption) -> None:
    """Check every run of a tier against settings, sources and data, and collect them in a table."""
    from vaebench.collect import collect as collect_runs

    loaded = load_tier(find_tier(tier))
    layout = Layout.of(loaded.tier)
    if not layout.config.exists() or load_tier(layout.config) != loaded:
        write_atomically(layout.config, dump_tier(loaded).encode())
    collect_runs(loaded, layout)
    typer.echo(layout.runs)


@app.command()
def draw(
    names: Annotated[list[str], typer.Argument(help=f"Any of: {', '.join(FIGURES)}.")],
    results: Annotated[Path, typer.Option(help="A tier's folder, such as results/smoke.")],
) -> None:
    """Draw figures from a tier's collected runs."""
    from vaebench.figures.draw import draw_figure
    from vaebench.results import load_results

    loaded = load_results(results)
    for name in names:
        draw_figure(loaded, name)
        typer.echo(loaded.layout.figure(name, "png"))


@app.command()
def table(
    names: Annotated[list[str], typer.Argument(help="Experiments of the tier.")],
    results: Annotated[Path, typer.Option(help="A tier's folder, such as results/smoke.")],
    paper_values: Annotated[Path, typer.Option(help="The numbers that the paper prints.")] = Path(
        "config/paper_values.yaml"
    ),
) -> None:
    """Write the tables of experiments from a tier's collected runs."""
    from vaebench.results import load_results
    from vaebench.tables import write_tables

    loaded = load_results(results)
    for name in names:
        write_tables(loaded, name, paper_values)
        typer.echo(loaded.layout.table(name, "md"))


@app.command()
def report(
    results: Annotated[Path, typer.Option(help="A tier's folder, such as results/smoke.")],
) -> None:
    """Write the page that shows a tier's figures and tables."""
    from vaebench.report import write_report
    from vaebench.results import load_results

    typer.echo(write_report(load_results(results)))


def parse_list(name: str, text: str, kind: type[int] | type[float]) -> list[Any]:
    """The values of an option such as `0,1,2`.

    Raises:
        UserError: an entry is no number of that kind.
    """
    values = []
    for part in text.split(","):
        try:
            values.append(kind(part))
        except ValueError:
            raise UserError(
                f"--{name.replace('_', '-')}: '{part}' in '{text}' is no "
                f"{'whole number' if kind is int else 'number'}; write a list such as 0,1,2"
            ) from None
    return values


def parse_duration(text: str) -> float:
    """Seconds of a duration such as 90s, 9m or 2h.

    Raises:
        UserError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None:
        raise UserError(f"--budget: '{text}' is no duration; write one such as 90s, 9m or 2h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def ensure_data(dataset: str, root: Path, mirrors: list[str]) -> None:
    """Prepare a dataset unless it is there."""
    from vaebench.data.prepared import manifest_path, prepare

    if not manifest_path(root / "prepared", dataset).exists():
        say(f"preparing dataset {dataset}")
        prepare(dataset, root, mirrors)


def cell_targets(layout: Layout, experiment: str, cell: Cell) -> list[Any]:
    """The runs of a training job with the places of their files."""
    from vaebench.training.session import Target

    return [
        Target(
            run.settings, layout.run(experiment, run.folder), layout.weights(experiment, run.folder)
        )
        for run in cell.runs
    ]


def _jobs(tier: Tier, experiment: str | None, cell: str | None) -> list[tuple[str, Cell]]:
    chosen = tier.experiments if experiment is None else [tier.experiment(experiment)]
    jobs = [(e.name, c) for e in chosen for c in expand(e)]
    if cell is None:
        return jobs
    found = [(name, job) for name, job in jobs if job.folder == Path(cell)]
    if not found:
        known = "\n".join(f"  {job.folder}" for _, job in jobs)
        raise UserError(f"--cell: there is no job '{cell}'; there are:\n{known}")
    return found


def _train(
    label: str,
    targets: list[Any],
    execution: Execution,
    device: str,
    threads: int | None,
    store: Path,
    data: Path,
    deadline: float | None,
) -> bool:
    import torch

    from vaebench.training.device import choose_device
    from vaebench.training.session import Resources, train_targets

    if threads is not None:
        torch.set_num_threads(threads)
    resources = Resources(
        device=choose_device(device),
        data=data,
        store=store,
        save_every=execution.save_every,
        deadline=deadline,
    )
    return train_targets(label, targets, resources)


def _validated(values: dict[str, Any]) -> Tier:
    try:
        return Tier.model_validate(values)
    except ValidationError as error:
        text = describe(error, "vaebench train").replace("experiments.0: ", "")
        raise UserError(re.sub(r"(settings|axes)\.", "", text)) from None


def main() -> None:
    """Run the command line; the user's mistakes end without a traceback."""
    try:
        app()
    except UserError as error:
        print(f"vaebench: {error}", file=sys.stderr)
        sys.exit(2)


# `Settings` names every option of `train`; a test keeps the two in step.
TRAIN_SETTINGS = tuple(Settings.model_fields)
