"""A copy of the project with a tiny grid, for tests that run snakemake in it."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.conftest import PROJECT

TINY = {
    "tier": "tiny",
    "experiments": [
        {
            "name": "posterior_variance",
            "settings": {
                "dataset": "digits", "likelihood": "bernoulli", "epochs": 2,
                "network": "mlp", "hidden_units": 16, "hidden_layers": 1, "batch_size": 100,
                "learning_rate": 0.001,
            },
            "axes": {"objective": ["learned", "bilbo"], "latent_dim": [2], "seed": [0, 1]},
        }
    ],
    "figures": ["fig05"],
}  # fmt: skip


RUNS = "results/tiny/runs.parquet"
"""A target: all is trained, measured and collected, and nothing is drawn or judged."""
TARGETS = {"all", "default"}
"""Rules that make nothing themselves."""


@dataclass(frozen=True)
class Project:
    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results" / "tiny"

    def run(self, objective: str, seed: int, latent_dim: int = 2) -> Path:
        folder = f"objective~{objective}/latent_dim~{latent_dim}/seed~{seed}"
        return self.results / "runs" / "posterior_variance" / folder

    def config(self, **axes: list[object]) -> None:
        """Write the tiny config, with other values on some axes."""
        values = json.loads(json.dumps(TINY))
        values["experiments"][0]["axes"] |= axes
        (self.root / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False))

    def environment(self) -> dict[str, str]:
        # Before the editable install, so that the copy's sources are the ones that run.
        return os.environ | {"PYTHONPATH": str(self.root / "src"), "PYTHONUNBUFFERED": "1"}

    def command(self, *arguments: str) -> list[str]:
        snakemake = str(Path(sys.executable).parent / "snakemake")
        return [snakemake, "--cores", "2", "--configfile", "tiny.yaml", *arguments]

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
        )

    def jobs(self, *arguments: str) -> list[str]:
        """Run snakemake and tell the rules of the jobs that it ran, but for targets."""
        done = self.snakemake(*arguments)
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        rules = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", text, re.MULTILINE)
        return sorted(rule for rule in rules if rule not in TARGETS)

    def planned(self, *arguments: str) -> set[str]:
        """The rules that snakemake would run now, but for targets."""
        done = self.snakemake("-n", *arguments)
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        rules = set(re.findall(r"^(\w+) +\d+$", text, re.MULTILINE)) - TARGETS - {"total"}
        assert rules or "Nothing to be done" in text, text
        return rules

    def vaebench(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vaebench", *arguments],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
        )

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / "src" / "vaebench" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def hasten_classifier(self) -> None:
        """Let the classifier of sample quality take a few steps only."""
        steps = "LEAST_EPOCHS, LEAST_STEPS = 3, "
        self.edit("quality/classifier.py", f"{steps}1500", f"{steps}9")


def copy_project(root: Path, data_root: Path | None = None) -> Project:
    """A copy of the sources below `root`, with the prepared data of `data_root` if it is given."""
    for name in ("Snakefile", "requirements.lock"):
        shutil.copy(PROJECT / name, root / name)
    for name in ("workflow", "config", "profiles", "slurm", "src"):
        shutil.copytree(PROJECT / name, root / name)
    if data_root is not None:
        shutil.copytree(data_root, root / "data")
    project = Project(root)
    project.config()
    return project
