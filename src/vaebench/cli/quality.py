"""Commands that measure sample quality."""

from typing import Annotated

import typer

from vaebench.cli.app import MEASURE, TierOption, app
from vaebench.cli.options import (
    CellOption,
    DeviceOption,
    RunsOption,
    StoreOption,
    ThreadsOption,
    ensure_data,
)
from vaebench.cli.say import say
from vaebench.data.registry import DATASETS, check_known
from vaebench.errors import UserError
from vaebench.experiment.jobs import chosen_blocks
from vaebench.experiment.tier import find_tier, load_tier, own_layout
from vaebench.extras import require
from vaebench.paths import DATA, STORE


@app.command(rich_help_panel=MEASURE)
def classifier(
    dataset: Annotated[
        str, typer.Argument(help=f"One of: {', '.join(DATASETS)}; or a dataset of the tier.")
    ],
    tier: TierOption,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    store: StoreOption = STORE,
) -> None:
    """Train the classifier whose features are used to measure samples of a dataset."""
    require("quality")
    config = load_tier(find_tier(tier))
    check_known(dataset)
    if not DATASETS[dataset].is_labelled:
        raise UserError(f"dataset '{dataset}' has no labels, and a classifier needs them")
    ensure_data(dataset, DATA, config.execution.mirrors)
    import torch

    from vaebench.execution.device import choose_device
    from vaebench.quality.evaluate import provide_classifier

    if threads is not None:
        torch.set_num_threads(threads)
    record = own_layout(tier, config).classifier(dataset)
    where = choose_device(device or config.execution.device)
    provide_classifier(dataset, DATA, record, where, store)
    say(record)


@app.command(rich_help_panel=MEASURE)
def evaluate(
    tier: TierOption,
    experiment: Annotated[str, typer.Option(help="An experiment of the tier.")],
    cell: CellOption = None,
    runs: RunsOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    store: StoreOption = STORE,
) -> None:
    """Measure samples of trained runs: KID, FID, precision, recall, density and coverage.

    It needs the weights of the runs and the classifier of their dataset.
    """
    require("quality")
    config = load_tier(find_tier(tier))
    layout = own_layout(tier, config)
    packs = chosen_blocks([config.experiment(experiment)], cell or None, runs)
    import torch

    from vaebench.execution.device import choose_device
    from vaebench.quality.evaluate import EvaluationTarget, evaluate_runs

    if threads is not None:
        torch.set_num_threads(threads)
    for _, pack in packs:
        targets = [
            EvaluationTarget(
                layout.run(experiment, run.folder),
                layout.weights(experiment, run.folder),
                layout.evaluation(experiment, run.folder),
            )
            for run in pack.runs
        ]
        dataset = pack.shared.dataset
        where = choose_device(device or config.execution.device)
        evaluate_runs(targets, layout.classifier(dataset), DATA, where, store)
        for target in targets:
            say(target.evaluation)
