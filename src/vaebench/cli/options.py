"""Options and preparations that several commands share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaebench.paths import STORE_VARIABLE
from vaebench.progress import log

if TYPE_CHECKING:
    from vaebench.execution.session import Resources

STOPPED = 75
"""The exit status of a training that was stopped and has saved its state (EX_TEMPFAIL)."""

DeviceOption = Annotated[
    str | None,
    typer.Option(
        envvar="VAEBENCH_DEVICE",
        help="auto (a GPU if there is one), cpu, cuda or mps. Default: that of the tier, or auto.",
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, max=1024, help="CPU threads. Default: all cores.")
]
CellOption = Annotated[
    list[str] | None,
    typer.Option(help="Only this cell, such as objective~bilbo/latent_dim~2. Can be repeated."),
]
RunsOption = Annotated[
    str | None,
    typer.Option(help="Only these runs of the given cell, such as 1-30."),
]
StoreOption = Annotated[
    Path,
    typer.Option(
        envvar=STORE_VARIABLE,
        # A quoted ~ reaches this program as it is.
        callback=lambda path: Path(os.path.expanduser(path)),  # noqa: PTH111
        help="Folder with finished runs and saved states. Runs found there are not trained again.",
    ),
]
PluginOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="A Python file of your own with objectives and other parts. Can be repeated."
    ),
]
TrackOption = Annotated[
    str | None,
    typer.Option(
        help="tensorboard, mlflow or wandb: write the training to tracking/ for that program. "
        "Default: off."
    ),
]
StartOverOption = Annotated[
    bool,
    typer.Option(
        "--start-over",
        envvar="VAEBENCH_START_OVER",
        help="Discard saved states and damaged finished runs, and train them again.",
    ),
]


def ensure_data(dataset: str, root: Path, mirrors: list[str]) -> None:
    """Prepare a dataset, unless it is already prepared from its source as it is now."""
    from vaebench.data.prepared import is_prepared, prepare

    if not is_prepared(root / "prepared", dataset):
        log.info(f"preparing dataset {dataset}")
        prepare(dataset, root, mirrors)


def make_resources(
    device: str,
    threads: int | None,
    data: Path,
    store: Path,
    save_every: int,
    deadline: float | None = None,
    start_over: bool = False,
    keep_state: bool = False,
    must_continue: bool = False,
    track: str | None = None,
) -> "Resources":
    """How and where to train. It also sets the number of threads of this process."""
    import torch

    from vaebench.execution.device import choose_device
    from vaebench.execution.session import Resources
    from vaebench.execution.trackers import check_tracker

    if track is not None:
        check_tracker(track)

    if threads is not None:
        torch.set_num_threads(threads)
    return Resources(
        choose_device(device),
        data,
        store,
        save_every,
        deadline,
        start_over,
        keep_state,
        must_continue,
        track,
    )
