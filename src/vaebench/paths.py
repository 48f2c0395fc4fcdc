"""The paths of everything that a tier makes, of the folders beside it, and in its config."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer, SerializationInfo, ValidationInfo

DATA = Path("data")
RESULTS = Path("results")
CONFIGS = Path("config")
STORE = Path(".vaebench")
"""The store of finished runs, unless `STORE_VARIABLE` names another."""
STORE_VARIABLE = "VAEBENCH_STORE"
"""The environment variable with the folder of the store."""
PUBLISHED = RESULTS / "published" / "paper"
"""The tier that the documents show, kept in git."""


def chosen_store() -> Path:
    """The store that the environment names, or else that of the project.

    A `~` in it is the home, also where no shell has seen it.
    """
    return Path(os.path.expanduser(os.environ.get(STORE_VARIABLE) or STORE))  # noqa: PTH111


_OF_THE_WHEEL = Path(__file__).with_name("paper_values.yaml")
PAPER_VALUES = CONFIGS / "paper_values.yaml"
"""The paper's numbers and claims. Outside of a clone, it is the copy of the file in the wheel, or
the file of the clone that the package is installed from."""
if not PAPER_VALUES.exists():
    _of_the_clone = Path(__file__).parents[2] / PAPER_VALUES
    PAPER_VALUES = next((p for p in (_OF_THE_WHEEL, _of_the_clone) if p.exists()), PAPER_VALUES)
SPECTRA = Path(__file__).with_name("spectra.yaml")
"""The eigenvalues of datasets' covariances that statistics need: in a wheel a copy of the clone's
config/spectra.yaml. A tier does not choose it, so the working folder does not matter."""
if not SPECTRA.exists():
    SPECTRA = Path(__file__).parents[2] / CONFIGS / "spectra.yaml"
SNAKEFILE = Path("workflow/Snakefile")
"""Where snakemake finds the workflow, in the project's folder."""
VECTOR = "svg"
FIGURE_FORMATS = (VECTOR, "png")
TABLE_FORMATS = ("csv", "md")
CLAIM_FORMATS = ("json", "md")


@dataclass(frozen=True)
class Layout:
    """The paths of a tier."""

    root: Path

    @staticmethod
    def of(tier: str) -> "Layout":
        """The tier of that name, below results/."""
        return Layout(RESULTS / tier)

    @property
    def config(self) -> Path:
        """The tier's config as resolved, every default written out."""
        return self.root / "config.yaml"

    @property
    def owner(self) -> Path:
        """The name of the config file that these results belong to."""
        return self.root / "owner.txt"

    @property
    def hashes(self) -> Path:
        """The hash that each run should have; newer than results that it does not fit."""
        return self.root / "hashes.txt"

    @property
    def runs(self) -> Path:
        """The collected table, one row a run."""
        return self.root / "runs.parquet"

    @property
    def history(self) -> Path:
        """The collected test bounds during training, one row a run and recorded epoch."""
        return self.root / "history.parquet"

    @property
    def report(self) -> Path:
        """The page that shows all results of the tier."""
        return self.root / "index.html"

    @property
    def codes(self) -> Path:
        """The folder of the codes and samples that the page loads on demand, one file a run."""
        return self.root / "codes"

    def run_codes(self, experiment: str, folder: Path | str) -> Path:
        """The codes and samples of a run, as a script for the page."""
        return self.codes / experiment / f"{Path(folder).as_posix()}.js"

    @property
    def manifest(self) -> Path:
        """The digests of everything that the tier made."""
        return self.root / "manifest.json"

    def run(self, experiment: str, folder: Path | str) -> Path:
        """The folder of a run's metrics.json and arrays.npz."""
        return self.root / "runs" / experiment / folder

    def weights(self, experiment: str, folder: Path | str) -> Path:
        """A run's weights, in a tree of their own."""
        return self.root / "weights" / experiment / folder / "model.safetensors"

    def evaluation(self, experiment: str, folder: Path | str) -> Path:
        """What was measured on a run from its weights."""
        return self.run(experiment, folder) / "evaluation.json"

    def evidence(self, experiment: str, folder: Path | str) -> Path:
        """The evidence of a run, measured from its weights; evidence.npz is beside it."""
        return self.run(experiment, folder) / "evidence.json"

    def equations(self, experiment: str, folder: Path | str) -> Path:
        """The paper's equations on a run; equations.npz is beside it."""
        return self.run(experiment, folder) / "equations.json"

    def latent(self, experiment: str, folder: Path | str) -> Path:
        """The aggregated posterior of a run against its prior; latent.npz is beside it."""
        return self.run(experiment, folder) / "latent.json"

    def dependence(self, experiment: str, folder: Path | str) -> Path:
        """What of a run depends on the input; dependence.npz is beside it."""
        return self.run(experiment, folder) / "dependence.json"

    @property
    def equation_values(self) -> Path:
        """The collected statistics of equations, one row a run, state and statistic."""
        return self.root / "equations.parquet"

    def equation_table(self, extension: str) -> Path:
        """The table of the equations of all experiments on which they are measured."""
        return self.root / f"equations.{extension}"

    def classifier(self, dataset: str) -> Path:
        """The record of the classifier that measures samples of a dataset; its weights beside."""
        return self.root / "classifiers" / dataset / "classifier.json"

    def figure(self, name: str, extension: str) -> Path:
        """A figure's file."""
        return self.root / "figures" / f"{name}.{extension}"

    def caption(self, name: str) -> Path:
        """A figure's caption, as text."""
        return self.root / "figures" / f"{name}.txt"

    def table(self, experiment: str, extension: str) -> Path:
        """An experiment's table."""
        return self.root / "tables" / f"{experiment}.{extension}"

    def claims(self, extension: str) -> Path:
        """The claim ledger."""
        return self.root / f"claims.{extension}"

    def log(self, job: str) -> Path:
        """The log of a workflow's job; a job whose name ends in `/.` has no wildcards."""
        return self.root / "logs" / f"{job.removesuffix('/.')}.log"

    def benchmark(self, job: str) -> Path:
        """Time and memory of a workflow's job, as Snakemake measures them."""
        return self.root / "benchmarks" / f"{job.removesuffix('/.')}.tsv"


def _from_config(path: str, info: ValidationInfo) -> str:
    folder = (info.context or {}).get("folder", Path())
    # Without following links, so that a path out of results/ leads back, whatever results/ is.
    return os.path.abspath(Path(folder, os.path.expanduser(path)))  # noqa: PTH100, PTH111


def _to_config(path: str, info: SerializationInfo) -> str:
    folder = (info.context or {}).get("folder")
    return path if folder is None else Path(os.path.relpath(path, folder)).as_posix()


ConfigPath = Annotated[
    str, Field(min_length=1), AfterValidator(_from_config), PlainSerializer(_to_config)
]
"""A path in a config, which is relative to the folder of the config. In memory it is absolute.

To read and to write the config, give pydantic the context `{"folder": Path}`, the folder of the
file. So the path is written relative to the new file, and found from there. Without it, paths are
read as relative to the working directory, and written as they are in memory.
"""
