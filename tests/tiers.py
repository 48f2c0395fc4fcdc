"""Training a tier inside a test, as the workflow does it."""

import json
import shutil
from importlib import import_module
from pathlib import Path

import pytest
import torch

from tests.conftest import PROJECT
from vaebench.claims.write import write_ledger
from vaebench.execution.session import Resources, targets_of, train_targets
from vaebench.experiment.grid import expand
from vaebench.experiment.tier import Tier, dump_tier, load_tier
from vaebench.figures.draw import draw_figure
from vaebench.files import write_atomically
from vaebench.page.assemble import write_page
from vaebench.paths import Layout
from vaebench.provenance.manifest import write_manifest
from vaebench.quality import classifier as classifiers
from vaebench.quality.evaluate import EvaluationTarget, evaluate_runs, make_classifier
from vaebench.reporting.tables import write_tables
from vaebench.results.collect import collect
from vaebench.results.read import load_results
from vaebench.runs.measurement import RunFiles
from vaebench.runs.record import CHECKSUM, checksum

CPU = torch.device("cpu")
PAPER_VALUES = PROJECT / "config" / "paper_values.yaml"


def forge(path: Path, old: str, new: str) -> None:
    """Change the text of a record as a forger would: it ends with the digest that then fits."""
    text = path.read_text()
    assert old in text
    values = json.loads(text.replace(old, new, 1))
    del values[CHECKSUM]
    path.write_text(json.dumps(values | {CHECKSUM: checksum(values)}, indent=2) + "\n")


def train_tier(tier: Tier, root: Path) -> list[list[EvaluationTarget]]:
    """Train all runs of a tier into `root`/results, and measure on them what it asks for.

    Data are from `root`/data.

    Returns:
        The runs of each job whose samples are to be measured.
    """
    layout = Layout(root / "results" / tier.tier)
    write_atomically(layout.config, dump_tier(tier, layout.root).encode())
    resources = Resources(CPU, root / "data", root / ".vaebench", 10)
    measured = []
    for experiment in tier.experiments:
        for cell in expand(experiment):
            targets = targets_of(layout, experiment.name, cell.runs)
            assert train_targets(experiment.name, targets, resources)
            if experiment.sample_quality:
                measured.append(
                    [
                        EvaluationTarget(t.folder, t.weights, t.folder / "evaluation.json")
                        for t in targets
                    ]
                )
            runs = [RunFiles(t.folder, t.weights) for t in targets]
            for name, plan in experiment.plans.items():
                measure_runs = import_module(f"vaebench.{name}.measure").measure_runs
                measure_runs(runs, plan, resources.data, CPU, resources.store)
    return measured


def make_results(layout: Layout) -> None:
    """Make everything that follows from the trained runs of a tier again."""
    collect(load_tier(layout.config), layout, finished_only=True)
    results = load_results(layout.root)
    for name in results.tier.figures:
        draw_figure(results, name)
    for experiment in results.tier.experiments:
        write_tables(results, experiment.name, PAPER_VALUES)
    write_ledger(results, PAPER_VALUES)
    write_page(results)
    write_manifest(layout, PAPER_VALUES)


def make_finished_tier(root: Path, data_root: Path) -> Path:
    """A tier of four runs with everything that the workflow makes; returns its folder."""
    shutil.copytree(data_root, root / "data")
    tier = Tier.model_validate(
        {
            "tier": "small",
            "experiments": [
                {
                    "name": "posterior_variance",
                    "settings": {
                        "dataset": "digits", "likelihood": "bernoulli", "epochs": 1,
                        "network": "mlp", "hidden_units": 8, "hidden_layers": 1, "batch_size": 300,
                        "learning_rate": 0.001,
                    },
                    "axes": {"objective": ["learned", "bilbo"], "latent_dim": [2], "seed": [0, 1]},
                    "sample_quality": True,
                }
            ],
            "figures": ["fig01", "fig05", "fig13"],
        }
    )  # fmt: skip
    layout = Layout(root / "results" / "small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "LEAST_STEPS", 9)
        (root / "requirements.lock").write_text("torch==0\n")
        patch.chdir(root)
        measured = train_tier(tier, root)
        make_classifier("digits", root / "data", layout.classifier("digits"), CPU)
        for targets in measured:
            evaluate_runs(targets, layout.classifier("digits"), root / "data", CPU)
        make_results(layout)
    return layout.root
