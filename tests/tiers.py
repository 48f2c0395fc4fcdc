"""Training a tier inside a test, as the workflow does it."""

from pathlib import Path

import torch

from vaebench.config import Tier, dump_tier
from vaebench.files import write_atomically
from vaebench.grid import expand
from vaebench.layout import Layout
from vaebench.quality.evaluate import EvaluationTarget
from vaebench.training.session import Resources, Target, train_targets

CPU = torch.device("cpu")


def train_tier(tier: Tier, root: Path) -> list[list[EvaluationTarget]]:
    """Train all runs of a tier into `root`/results, from the data in `root`/data.

    Returns:
        The runs of each job whose samples are to be measured.
    """
    layout = Layout(root / "results" / tier.tier)
    write_atomically(layout.config, dump_tier(tier).encode())
    resources = Resources(CPU, root / "data", root / ".vaebench", 10)
    measured = []
    for experiment in tier.experiments:
        for cell in expand(experiment):
            targets = [
                Target(
                    run.settings,
                    layout.run(experiment.name, run.folder),
                    layout.weights(experiment.name, run.folder),
                )
                for run in cell.runs
            ]
            assert train_targets(experiment.name, targets, resources)
            if experiment.sample_quality:
                measured.append(
                    [
                        EvaluationTarget(t.folder, t.weights, t.folder / "evaluation.json")
                        for t in targets
                    ]
                )
    return measured
