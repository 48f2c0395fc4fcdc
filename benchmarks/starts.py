"""What the start of a command costs, whatever it does."""

from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from cost import PYTHON, ROOT, SNAKEMAKE, VAEBENCH, cost

TRAIN = (
    *("train", "--dataset", "digits", "--likelihood", "bernoulli", "--objective", "learned"),
    *("--latent-dim", "2", "--epochs", "1", "--batch-size", "100", "--threads", "1"),
)


def table() -> str:
    """Markdown: the processor seconds of each command, and its peak memory."""
    lines = ["| command | s | MiB |", "|---|---|---|"]
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config").symlink_to(ROOT / "config")
        shared = {
            "dataset": "digits", "likelihood": "bernoulli", "network": "mlp", "hidden_units": 50,
            "hidden_layers": 2, "epochs": 1, "batch_size": 100, "learning_rate": 0.001,
        }  # fmt: skip
        axes = {"objective": ["learned", "bilbo"], "latent_dim": [2], "seed": [0, 1]}
        experiment = {"name": "posterior_variance", "settings": shared, "axes": axes}
        values = {"tier": "starts", "experiments": [experiment], "figures": ["fig05"]}
        (folder / "starts.yaml").write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")
        snakemake = [*SNAKEMAKE, "--cores", "1", "--configfile", "starts.yaml"]
        cost(snakemake, folder)
        # The second of two, so that no module is compiled in the one that counts.
        for text, command in {
            "`vaebench --help`": [*VAEBENCH, "--help"],
            "`import torch`": [PYTHON, "-c", "import torch"],
            "`vaebench train`, one epoch of digits": [*VAEBENCH, *TRAIN, "--out", "OUT"],
            "`vaebench draw fig05`": [*VAEBENCH, "draw", "fig05", "--tier", "starts"],
            "`vaebench claims`": [*VAEBENCH, "claims", "--tier", "starts"],
            "`vaebench report`": [*VAEBENCH, "report", "--tier", "starts"],
            "`snakemake` with nothing to do": [*snakemake, "--dry-run"],
        }.items():
            for attempt in ("first", "second"):
                found = cost([attempt if word == "OUT" else word for word in command], folder)
            lines.append(f"| {text} | {found.seconds:.2f} | {found.memory:.0f} |")
    return "\n".join(lines)
