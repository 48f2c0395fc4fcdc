"""What measuring finished runs costs, by their number: the evidence and the quality of samples.

A job measures the runs of a tier that are trained for it, small ones on digits.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from cost import VAEBENCH, Cost, cost

CONFIG = "measured.yaml"
COMMANDS = ("evaluate", "evidence")


def table(counts: list[int]) -> str:
    """Markdown, a row for each number of runs of a job."""
    lines = ["| runs of a job | quality | MiB | evidence | MiB |", "|---|---|---|---|---|"]
    for count in counts:
        with TemporaryDirectory() as name:
            cells = [f"{one.seconds:.1f} | {one.memory:.0f}" for one in costs(Path(name), count)]
        lines.append(f"| {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def costs(folder: Path, count: int) -> list[Cost]:
    """Of the job that measures so many runs, for each of `COMMANDS`."""
    experiment = {
        "name": "measured",
        "settings": {
            "dataset": "digits", "likelihood": "bernoulli", "objective": "learned",
            "latent_dim": 2, "network": "mlp", "hidden_units": 50, "hidden_layers": 2, "epochs": 2,
            "batch_size": 100, "learning_rate": 0.001,
        },
        "axes": {"seed": list(range(count))},
        "packed": ["seed"],
        "sample_quality": True,
        "evidence": {
            "images": 10, "temperatures": 20, "draws": 100, "simulated": 5, "refined": 2
        },
    }  # fmt: skip
    values = {"tier": "measured", "experiments": [experiment], "figures": []}
    (folder / CONFIG).write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")
    cost([*VAEBENCH, "data", "digits"], folder)
    of_tier = ["--tier", CONFIG, "--threads", "1"]
    cost([*VAEBENCH, "run", *of_tier], folder)
    cost([*VAEBENCH, "classifier", "digits", *of_tier], folder)
    chosen = [*of_tier, "--experiment", "measured"]
    return [cost([*VAEBENCH, command, *chosen], folder) for command in COMMANDS]
