"""What many runs cost: planning, collecting and planning again, by the number of runs.

The runs are made up from one that is trained: each has settings and a hash of its own, and all have
the same numbers. They say what keeping books of runs costs, and nothing else.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from cost import ROOT, SNAKEMAKE, VAEBENCH, Cost, cost

from vaebench.experiment.tier import load_tier
from vaebench.paths import Layout
from vaebench.runs.record import read_record
from vaebench.runs.run_hash import run_hashes
from vaebench.runs.sources import source_digest

CONFIG = "many.yaml"
PLAN = (*SNAKEMAKE, "--cores", "1", "--configfile", CONFIG, "--dry-run")
JOBS_OF = ("--default-resources", "runs_per_job=100")


def table(counts: list[int]) -> str:
    """Markdown, a row for each number of runs. They are multiples of 200."""
    lines = [
        "| runs | plan, nothing trained | MiB | collect | MiB | plan, all collected | MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for count in counts:
        with TemporaryDirectory() as name:
            cells = [f"{one.seconds:.1f} | {one.memory:.0f}" for one in costs(Path(name), count)]
        lines.append(f"| {count:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def costs(folder: Path, count: int) -> Iterator[Cost]:
    """Of a tier of so many runs in an empty folder: planning, collecting, planning again."""
    write_config(folder, count)
    (folder / "config").symlink_to(ROOT / "config")
    cost([*VAEBENCH, "data", "digits"], folder)
    yield cost([*PLAN, *JOBS_OF], folder)
    make_up_runs(folder)
    yield cost([*VAEBENCH, "collect", "--tier", CONFIG], folder)
    # What is collected is not made again: figures, tables and claims are what remains.
    yield cost([*PLAN, *JOBS_OF], folder)


def write_config(folder: Path, count: int) -> None:
    """A tier of small runs on digits, with as many values of an axis as it takes."""
    shared = {
        "dataset": "digits", "likelihood": "bernoulli", "network": "mlp", "hidden_units": 8,
        "hidden_layers": 1, "epochs": 50, "batch_size": 200, "learning_rate": 0.001,
    }  # fmt: skip
    axes = {
        "objective": ["learned", "bilbo"],
        "latent_dim": list(range(1, 21)),
        "latent_scale": [k / 10 for k in range(1, count // 200 + 1)],
        "seed": [0, 1, 2, 3, 4],
    }
    experiment = {"name": "many", "settings": shared, "axes": axes}
    values = {"tier": "many", "experiments": [experiment], "figures": []}
    (folder / CONFIG).write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")


def make_up_runs(folder: Path) -> None:
    """Train one run of the tier, and write its numbers as those of every other."""
    tier = load_tier(folder / CONFIG)
    layout = Layout(folder / "results" / "many")
    (experiment, first), *others = tier.runs
    cell = first.folder.parent.as_posix()
    choice = ["--experiment", experiment.name, "--cell", cell, "--runs", "1-1"]
    cost([*VAEBENCH, "run", "--tier", CONFIG, *choice, "--threads", "1"], folder)
    trained = layout.run(experiment.name, first.folder)
    record = read_record(trained / "metrics.json")
    hashes = run_hashes((run.settings for _, run in others), folder / "data")
    sources = dict.fromkeys(("learned", "bilbo"), "")
    for (_, run), run_hash in zip(others, hashes, strict=True):
        settings = run.settings
        sources[settings.objective] = sources[settings.objective] or source_digest(settings)
        digests = {"settings": settings.digest, "sources": sources[settings.objective]}
        made = record.model_copy(
            update={
                "run": settings,
                "run_hash": run_hash,
                "digests": record.digests.model_copy(update=digests),
            }
        )
        place = layout.run(experiment.name, run.folder)
        place.mkdir(parents=True, exist_ok=True)
        (place / "metrics.json").write_text(made.to_json(), "utf-8")
        if not (place / "arrays.npz").exists():
            os.link(trained / "arrays.npz", place / "arrays.npz")
